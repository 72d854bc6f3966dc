"""Addresses from another IPAM plugin, such as host-local: run as the specification says.

It is spoken to in version 0.4.0 whatever the network's own is: every plugin in use knows that one,
and Debian's does not know 1.1.0. It finds its own keys in `ipam`, and is asked for an address by
the convention `args.cni.ips`.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tortie.cni.errors import INVALID_CONFIG, NO_ADDRESS, TRY_AGAIN, CniError
from tortie.cni.lease import Lease
from tortie.cni.podcidr import with_pod_cidrs
from tortie.cni.request import CniRequest
from tortie.net import Prefix, parse_network, parse_prefix

_SPOKEN = "0.4.0"
_LIMIT = 20.0  # seconds
_TWICE = re.compile("duplicate allocation")  # host-local: this container has an address already


async def lease(
    request: CniRequest, asked: tuple[Prefix, ...], pod_cidrs: tuple[str, ...]
) -> Lease:
    """An address of the plugin's; `asked` are the addresses wanted. Raises CniError.

    An ADD that died before it was recorded has left its address with the plugin: that one is given
    back first, for a container of which nothing is recorded has none.
    """
    config = _config(request, asked, pod_cidrs)
    try:
        answer = await _run("ADD", request, config)
    except CniError as problem:
        if not _TWICE.search(problem.message):
            raise
        await _run("DEL", request, config)
        answer = await _run("ADD", request, config)
    return _lease(answer, request.config.ipam.type)


async def release(request: CniRequest, pod_cidrs: tuple[str, ...]) -> None:
    """Give back what the interface has; nothing is no error. Raises CniError."""
    await _run("DEL", request, _config(request, (), pod_cidrs))


async def check(request: CniRequest, pod_cidrs: tuple[str, ...]) -> None:
    """Raises CniError where the plugin does not know the addresses of `prevResult`."""
    await _run("CHECK", request, _config(request, (), pod_cidrs))


def ipam_of(request: CniRequest) -> dict[str, Any]:
    """The whole of the configuration's `ipam`."""
    found = msgspec.json.decode(request.text or b"{}").get("ipam")
    return found if isinstance(found, dict) else {}


def _config(
    request: CniRequest, asked: tuple[Prefix, ...], pod_cidrs: tuple[str, ...]
) -> dict[str, Any]:
    """The configuration as the plugin gets it."""
    found: dict[str, Any] = {**msgspec.json.decode(request.text), "cniVersion": _SPOKEN}
    found["ipam"] = with_pod_cidrs(ipam_of(request), pod_cidrs)
    if asked:
        ips = [str(one).partition("/")[0] for one in asked]
        found["args"] = {"cni": {"ips": ips}}
    return found


async def _run(command: str, request: CniRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    """Run the plugin; what it prints. Raises CniError with its own words."""
    kind = request.config.ipam.type
    process = await asyncio.create_subprocess_exec(
        str(_program(kind, request.path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(command, request),
    )
    try:
        async with asyncio.timeout(_LIMIT):
            out, err = await process.communicate(msgspec.json.encode(config))
    except TimeoutError:
        raise CniError(TRY_AGAIN, f"IPAM {kind} did not answer within {_LIMIT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    answer = _object(out)
    if process.returncode:
        said = str(answer.get("msg") or err.decode(errors="replace").strip() or "it says nothing")
        details = str(answer.get("details") or "")
        code = TRY_AGAIN if answer.get("code") == TRY_AGAIN else NO_ADDRESS
        raise CniError(code, f"IPAM {kind}: {said}", details)
    return answer


def _program(kind: str, path: tuple[str, ...]) -> Path:
    for folder in path:
        found = Path(folder) / kind
        if folder.startswith("/") and os.access(found, os.X_OK) and found.is_file():
            return found
    raise CniError(
        INVALID_CONFIG,
        f"ipam.type is {kind!r}: there is no such plugin in CNI_PATH ({':'.join(path)}), "
        "as the agent sees it",
    )


def _environment(command: str, request: CniRequest) -> dict[str, str]:
    told = {"IgnoreUnknown": "1", **request.arguments}  # else host-local refuses a pod's name
    arguments = ";".join(f"{name}={value}" for name, value in told.items())
    return {
        "PATH": os.environ.get("PATH", ""),
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": request.container_id,
        "CNI_NETNS": request.netns,
        "CNI_IFNAME": request.ifname,
        "CNI_ARGS": arguments,
        "CNI_PATH": ":".join(request.path),
    }


def _object(text: bytes) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"msg": f"it answers {text[:200].decode(errors='replace')!r}"}


class _Ip(msgspec.Struct):
    address: str


class _Route(msgspec.Struct):
    dst: str


class _Result(msgspec.Struct):
    ips: list[_Ip]
    routes: list[_Route] = []
    dns: dict[str, Any] = {}


def _lease(answer: Mapping[str, Any], kind: str) -> Lease:
    try:
        found = msgspec.convert({k: v for k, v in answer.items() if v is not None}, _Result)
        addresses = [parse_prefix(one.address) for one in found.ips]
        routes = tuple(parse_network(one.dst) for one in found.routes)
    except (msgspec.ValidationError, ValueError) as problem:
        raise CniError(NO_ADDRESS, f"IPAM {kind} answers what is no result: {problem}") from None
    if not addresses:
        raise CniError(NO_ADDRESS, f"IPAM {kind} gives no address")
    single = sorted({Prefix.single(one.version, one.address) for one in addresses})
    return Lease(tuple(single), routes, found.dns)
