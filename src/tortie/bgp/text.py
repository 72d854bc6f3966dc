"""A node's picture as BIRD 2's configuration. Pure; equal pictures give equal text.

One BIRD speaks for both IP versions. It holds passwords: the text is for the file alone, never for
a log.
"""

from collections.abc import Iterator

from tortie.bgp.filter_text import (
    filter_functions,
    function_name,
    kernel_filter,
    own_services_function,
    tell_function,
)
from tortie.bgp.picture import Family, Picture, Session
from tortie.bgp.words import address, interface_pattern, network, password, remark

_VERSIONS = (4, 6)
_CLASSES = {
    "Trace": "all",
    "Debug": "all",
    "Info": "{ info, remote, warning, error, auth, fatal, bug }",
    "Warning": "{ warning, error, auth, fatal, bug }",
    "Error": "{ error, auth, fatal, bug }",
    "Fatal": "{ fatal, bug }",
}
_RECOVERY = 15  # seconds that a restarted BIRD waits for peers before it writes to the kernel
_DEVICES = 5  # seconds between looks at interfaces, should a notification have been lost
_KERNEL = 2  # seconds between looks at the kernel's routes, likewise


def bird_text(picture: Picture) -> str:
    """The whole configuration."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "# Written by tortie bgp from the cluster's resources; changes here are lost."
    yield f"log stderr {_CLASSES[picture.log_severity]};"
    if picture.log_severity == "Trace":
        yield "debug protocols all;"
    else:
        yield "debug protocols off;"
    yield "timeformat base iso long ms; timeformat protocol iso long ms;"
    yield f"router id {address(4, picture.router_id)};"
    yield f"graceful restart wait {_RECOVERY};"
    yield f"protocol device {{ scan time {_DEVICES}; }}"
    yield _direct(picture)
    for version in _VERSIONS:
        yield from _statics(picture, version)
        yield from _kernel(picture.family(version), version)
        yield from own_services_function(picture.family(version), version)
        yield from tell_function(picture.family(version), version, picture.workload_prefixes)
    yield from filter_functions(picture.filters)
    if any(session.bfd for session in picture.sessions):
        yield "protocol bfd { }"
    yield from _TEMPLATE
    for session in picture.sessions:
        yield from _session(session, picture)


def _direct(picture: Picture) -> str:
    """The node's own subnets, so that next hops on them are found."""
    ignored = [f"{prefix}*" for prefix in ("kube-ipvs", *picture.workload_prefixes)]
    patterns = [f"-{interface_pattern(name)}" for name in (*ignored, *picture.ignored_interfaces)]
    return f'protocol direct {{ ipv4; ipv6; interface {", ".join(patterns)}, "*"; }}'


def _statics(picture: Picture, version: int) -> Iterator[str]:
    """What this node announces of its own. The kernel's black holes for it are the agent's."""
    family = picture.family(version)
    for name, prefixes in (("blocks", family.blocks), ("services", family.services)):
        yield f"protocol static {name}{version} {{ ipv{version};"
        yield from (f"  route {network(prefix)} blackhole;" for prefix in prefixes)
        yield "}"
    gateways = {
        (session.peer, session.gateway)
        for session in picture.sessions
        if session.version == version and session.gateway is not None
    }
    yield f"protocol static gateways{version} {{ ipv{version};"
    for peer, gateway in sorted(gateways):
        length = 32 if version == 4 else 128
        yield f"  route {address(version, peer)}/{length} via {address(version, gateway)};"
    yield "}"


def _kernel(family: Family, version: int) -> Iterator[str]:
    """All that the kernel knows is learned, for next hops and workloads' addresses; what is
    written stays when BIRD ends, so that packets go on while it starts again. `metric 0` lets
    each route say its own priority."""
    yield f"protocol kernel kernel{version} {{"
    yield f"  learn; persist; scan time {_KERNEL}; metric 0; merge paths on; graceful restart on;"
    yield f"  ipv{version} {{"
    yield "    import all;"
    yield from kernel_filter(family, version)
    yield "  };"
    yield "}"


_TEMPLATE = (
    "template bgp peers {",
    "  connect delay time 1; connect retry time 3; error wait time 1, 3;",
    "  graceful restart on; long lived graceful restart off;",
    "}",
)


def _session(session: Session, picture: Picture) -> Iterator[str]:
    yield f"# {remark(session.described)}"
    yield f"protocol bgp {session.symbol} from peers {{"
    yield from (f"  {line}" for line in _transport(session, picture))
    yield from (f"  {line}" for line in _manner(session))
    yield from _channel(session)
    yield "}"


def _transport(session: Session, picture: Picture) -> Iterator[str]:
    version = session.version
    source = "" if session.source is None else f"{address(version, session.source)} "
    yield f"local {source}port {int(picture.port)} as {int(session.local_as)};"
    peer = address(version, session.peer)
    yield f"neighbor {peer} port {int(session.port)} as {int(session.peer_as)};"
    yield f"multihop {int(session.hops)};" if session.hops else "direct;"
    if session.ttl:
        yield "ttl security on;"
    if picture.strict_bind and session.source is not None:
        yield "strict bind on;"
    if session.password is not None:
        yield f"password {password(session.password)};"
    if session.passive:
        yield "passive on;"


def _manner(session: Session) -> Iterator[str]:
    yield f"graceful restart time {int(session.restart_seconds)};"
    if session.keepalive_seconds:
        keepalive = int(session.keepalive_seconds)
        yield f"hold time {max(3, 3 * keepalive)}; keepalive time {keepalive};"
    if session.allowed_local_as is not None:
        yield f"allow local as {int(session.allowed_local_as)};"
    if session.cluster_id is not None:
        yield f"rr client; rr cluster id {address(4, session.cluster_id)};"
    if session.bfd is not None:
        times = (
            f"interval {int(session.bfd.interval)} ms; multiplier {int(session.bfd.multiplier)};"
        )
        yield f"bfd {{ {times} }};"


def _channel(session: Session) -> Iterator[str]:
    internal = "true" if session.is_internal else "false"
    version = session.version
    yield f"  ipv{version} {{"
    yield "    gateway recursive; add paths on;"
    if session.next_hop != "Auto":
        yield f"    next hop {session.next_hop.lower()};"
    for direction in ("import", "export"):
        yield f"    {direction} filter {{"
        for symbol in session.filters:
            yield f"      {function_name(symbol, version, direction)}({internal});"
        if direction == "export" and not session.keeps_next_hop:
            yield f"      own_services{version}();"
        yield f"      {_otherwise(session, direction, internal)}"
        yield "    };"
    yield "  };"


def _otherwise(session: Session, direction: str, internal: str) -> str:
    """What becomes of routes that no filter spoke of."""
    if session.closed:
        return "reject;"
    return "accept;" if direction == "import" else f"tell{session.version}({internal});"
