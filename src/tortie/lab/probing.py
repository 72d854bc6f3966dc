"""Have everybody of the lab call everybody, all at once, and collect who answered."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from tortie.lab.errors import LabError
from tortie.lab.matrix import Answer, Flow, Matrix, Party, flows_between
from tortie.lab.nodes import START_TIMEOUT
from tortie.lab.wire import ask, ask_when_up

PROBE_TIMEOUT = 1.5  # seconds: a first SYN that is lost is sent again after one
_MARGIN = 10.0  # seconds, for a busy machine to say what it found


async def listen(control: Path, party: Party) -> None:
    """Have a party listen on exactly its ports. Raises LabError."""
    ports = [list(port) for port in party.ports]
    reply = await ask_when_up(control, {"verb": "listen", "ports": ports}, START_TIMEOUT)
    failed = [f"{protocol}/{port}: {reason}" for protocol, port, reason in reply["failed"]]
    if failed:
        raise LabError(f"{party.name} can't listen on {'; '.join(failed)}")


async def probe(
    parties: Sequence[Party], controls: Mapping[str, Path], patience: float = PROBE_TIMEOUT
) -> Matrix:
    """Who reaches whom, now. Every probe starts at once and ends after `patience` seconds."""
    flows = flows_between(parties)
    addresses = {party.name: party.address for party in parties}
    found = await asyncio.gather(
        *(
            _probe_from(
                controls[party.name],
                [flow for flow in flows if flow.source == party.name],
                addresses,
                patience,
            )
            for party in parties
        )
    )
    answers = {flow: answer for part in found for flow, answer in part.items()}
    return Matrix(tuple(parties), {flow: answers[flow] for flow in flows})


async def _probe_from(
    control: Path, flows: Sequence[Flow], addresses: Mapping[str, str], patience: float
) -> dict[Flow, Answer]:
    targets = [
        [flow.port.protocol, addresses[flow.destination], flow.port.number] for flow in flows
    ]
    request = {"verb": "probe", "targets": targets, "timeout": patience}
    reply = await ask(control, request, patience + _MARGIN)
    return {
        flow: Answer(*answer) if answer else Answer()
        for flow, answer in zip(flows, reply["answers"], strict=True)
    }
