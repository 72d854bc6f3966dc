"""`readiness_gates`: addresses that have to answer before containers are attached."""

import asyncio
from collections.abc import Sequence

from tortie.cni.errors import INVALID_CONFIG, TRY_AGAIN, CniError

_LIMIT = 5.0  # seconds for all of them


async def check_gates(gates: Sequence[str]) -> None:
    """Raises CniError unless each URL answers with a 2xx status now."""
    if not gates:
        return
    for gate in gates:
        if not gate.startswith(("http://", "https://")):
            raise CniError(INVALID_CONFIG, f"readiness_gates: {gate!r} is no http URL")
    try:
        async with asyncio.timeout(_LIMIT):
            await asyncio.gather(*map(_check, gates))
    except TimeoutError:
        late = f"readiness_gates: not all answer within {_LIMIT:.0f} s: {', '.join(gates)}"
        raise CniError(TRY_AGAIN, late) from None


async def _check(gate: str) -> None:
    import httpx  # heavy, and few networks have gates

    try:
        async with httpx.AsyncClient(timeout=_LIMIT, trust_env=False) as client:
            status = (await client.get(gate)).status_code
    except httpx.InvalidURL as problem:
        raise CniError(INVALID_CONFIG, f"readiness_gates: {gate}: {problem}") from None
    except httpx.HTTPError as problem:
        reason = str(problem) or type(problem).__name__
        raise CniError(TRY_AGAIN, f"readiness_gates: {gate} does not answer: {reason}") from None
    if not 200 <= status < 300:
        raise CniError(TRY_AGAIN, f"readiness_gates: {gate} is not ready: it answers {status}")
