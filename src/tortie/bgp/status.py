"""What BIRD says of itself, its sessions and its routes, as values. Pure.

Reads the replies to `show status`, `show protocols all` and `show route all`. A line that is not
known is passed over: another BIRD may say more.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from tortie.bgp.replies import Line, Reply

BgpState = Literal[
    "Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established", "Close", ""
]
_STATES: tuple[BgpState, ...] = (
    "Idle",
    "Connect",
    "Active",
    "OpenSent",
    "OpenConfirm",
    "Established",
    "Close",
)
_HEAD, _DETAIL = 1002, 1006
_ROUTES = 1007
_PROTOCOL = re.compile(
    r"(?P<name>\S+)\s+(?P<kind>\S+)\s+\S+\s+(?P<up>\S+)\s+"
    r"(?P<since>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\s*(?P<info>.*)"
)
_COUNTS = re.compile(r"(\d+) imported,.*?(\d+) exported")
_ROUTE = re.compile(
    r"(?P<to>\S*)\s+(?P<kind>unicast|blackhole|unreachable|prohibited)\s+"
    r"\[(?P<protocol>\S+)[^\]]*\](?P<rest>.*)"
)
_HOP = re.compile(r"\s+(?:via (?P<gateway>\S+) on (?P<on>\S+)|dev (?P<dev>\S+))")


class BirdState(NamedTuple):
    """The daemon. Times are BIRD's own text, in its time zone."""

    version: str
    router_id: str
    booted: str
    reconfigured: str


class SessionState(NamedTuple):
    """One BGP protocol of BIRD's."""

    symbol: str
    state: BgpState
    since: str
    info: str
    error: str
    imported: int
    exported: int
    bfd: str


class Hop(NamedTuple):
    """One way of a route; the gateway is absent for what is on the link."""

    gateway: str
    interface: str


class RouteState(NamedTuple):
    """One route that BIRD knows; `best`: the one in use."""

    destination: str
    kind: str
    symbol: str
    best: bool
    hops: tuple[Hop, ...]


def bird_state(reply: Reply) -> BirdState:
    """Of `show status`."""
    texts = [line.text.strip() for line in reply.lines]
    return BirdState(
        _after("BIRD ", texts),
        _after("Router ID is ", texts),
        _after("Last reboot on ", texts),
        _after("Last reconfiguration on ", texts),
    )


def _after(head: str, texts: Iterable[str]) -> str:
    return next((text.removeprefix(head) for text in texts if text.startswith(head)), "")


def session_states(reply: Reply) -> dict[str, SessionState]:
    """Of `show protocols all`: the BGP protocols by their symbols."""
    found = {}
    for head, details in _protocols(reply.lines):
        if head["kind"] == "BGP":
            found[head["name"]] = _session(head, details)
    return found


def _protocols(lines: Iterable[Line]) -> Iterator[tuple[re.Match[str], list[str]]]:
    head: re.Match[str] | None = None
    details: list[str] = []
    for line in lines:
        if line.number == _HEAD:
            if head is not None:
                yield head, details
            head, details = _PROTOCOL.fullmatch(line.text), []
        elif line.number == _DETAIL:
            details.append(line.text.strip())
    if head is not None:
        yield head, details


def _session(head: re.Match[str], details: list[str]) -> SessionState:
    fields = dict(_pairs(details))
    counts = _COUNTS.search(fields.get("Routes", ""))
    text = fields.get("BGP state", "")
    state: BgpState = next((each for each in _STATES if each == text), "")
    return SessionState(
        head["name"],
        state,
        head["since"],
        head["info"].strip(),
        fields.get("Last error", ""),
        int(counts[1]) if counts else 0,
        int(counts[2]) if counts else 0,
        fields.get("BFD", ""),
    )


def _pairs(details: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in details:
        name, colon, value = text.partition(":")
        if colon:
            yield name.strip(), value.strip()


def route_states(reply: Reply) -> dict[int, list[RouteState]]:
    """Of `show route`, by IP version. A destination stands at the first of its routes only."""
    found: dict[int, list[RouteState]] = {4: [], 6: []}
    destination = ""
    for text in reply.texts(_ROUTES):
        if (route := _ROUTE.fullmatch(text)) is not None:
            destination = route["to"] or destination
            version = 6 if ":" in destination else 4
            found[version].append(
                RouteState(destination, route["kind"], route["protocol"], "*" in route["rest"], ())
            )
        elif (hop := _HOP.match(text)) is not None:
            version = 6 if ":" in destination else 4
            if found[version]:
                last = found[version][-1]
                added = Hop(hop["gateway"] or "", hop["on"] or hop["dev"])
                found[version][-1] = last._replace(hops=(*last.hops, added))
    return found
