"""Routes into the kernel: batched netlink beside `ip -batch`, dumps, and the drivers.

Needs root; works in a network namespace of its own.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable

from tortie.dataplane.routes import RouteDriver
from tortie.dataplane.tunnels import VxlanDriver
from tortie.engine.delta import Delta, Route, RouteKind, Vtep
from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes, adding, deleting
from tortie.net import Prefix, parse_prefix
from tortie.policy.program import Endpoint, EndpointId

COUNT = 10_000
ROUNDS = 5
SINGLES = 200
NODES = 1_000
_BASE = parse_prefix("10.64.0.0").address


def emit(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(
        json.dumps({"name": f"routes.{name}", "value": round(value, 4), "unit": unit}), flush=True
    )


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def kernel_routes(oif: int) -> list[KernelRoute]:
    """As many /32s on one interface."""
    return [
        KernelRoute(Prefix(4, _BASE + n, 32), protocol=80, priority=1024, scope=253, oif=oif)
        for n in range(COUNT)
    ]


def batches(sock: NetlinkSocket, path: str) -> None:
    """Our batch and `ip -batch`, turn by turn; then a dump."""
    routes, table = kernel_routes(Links(sock).get("calia").index), Routes(sock)
    ours, theirs, dumps = [], [], []
    lines = "".join(
        f"route add {str(route.destination)[:-3]} dev calia proto 80 metric 1024 scope link\n"
        for route in routes
    )
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: table.batch([adding(route) for route in routes])))
        dumps.append(seconds(lambda: table.list(4, table=254, protocol=80)))
        table.batch([deleting(route) for route in routes])
        theirs.append(seconds(lambda: ip_batch(path, lines)))
        table.batch([deleting(route) for route in routes])
    emit("batched", COUNT / statistics.median(ours), "routes/s")
    emit("ip_batch", COUNT / statistics.median(theirs), "routes/s")
    emit("batched_against_ip_batch", statistics.median(theirs) / statistics.median(ours), "times")
    emit("dump_10k", 1000 * statistics.median(dumps), "ms")


def ip_batch(path: str, lines: str) -> None:
    """iproute2's way to write many routes."""
    command = ["nsenter", f"--net={path}", "ip", "-batch", "-"]
    subprocess.run(command, input=lines, text=True, check=True)


def driver() -> None:
    """The driver: a first apply, an adoption, one workload's coming."""
    gateway = parse_prefix("172.16.1.3").address
    routes = {
        prefix: Route(prefix, RouteKind.DIRECT, gateway, "n")
        for prefix in (Prefix(4, _BASE + 64 * n, 26) for n in range(COUNT))
    }
    everything = Delta(routes=routes)
    first = RouteDriver()
    first.resync()
    emit("driver_apply_10k", 1000 * seconds(lambda: first.apply(everything)), "ms")
    second = RouteDriver()
    second.fold(everything)
    emit("driver_adopt_10k", 1000 * seconds(second.resync), "ms")
    times = [seconds(lambda n=n: second.apply(one_workload(n))) for n in range(SINGLES)]
    emit("driver_one_workload_beside_10k_p50", 1000 * statistics.median(times), "ms")
    second.apply(Delta(routes_removed=frozenset(routes)))


def one_workload(number: int) -> Delta:
    """One more address behind the same interface."""
    found = EndpointId("WorkloadEndpoint", "default", f"w{number}")
    address = Prefix.single(4, _BASE + number)
    return Delta(endpoints={found: Endpoint(found, "calia", (address,))})


def tunnel() -> None:
    """The tunnel's entries for many nodes: written, and adopted."""
    ends = {
        f"n{n}": Vtep(
            f"n{n}",
            Prefix.single(4, _BASE + n),
            Prefix.single(4, parse_prefix("172.16.4.0").address + n),
            f"66:00:00:00:{n >> 8:02x}:{n & 255:02x}",
        )
        for n in range(NODES)
    }
    local = Vtep("me", parse_prefix("10.63.0.1"), parse_prefix("172.16.1.2"), "66:ff:00:00:00:01")
    everything = Delta(vteps=ends, local_vtep=(local,))
    first = VxlanDriver()
    emit("tunnel_to_1k_nodes", 1000 * seconds(lambda: first.apply(everything)), "ms")
    second = VxlanDriver()
    second.fold(everything)
    emit("tunnel_adopt_1k_nodes", 1000 * seconds(second.resync), "ms")


def main() -> None:
    """Print all figures."""
    name = f"tortie-bench-routes-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path), NetlinkSocket() as sock:
            links = Links(sock)
            for one, other in (("eth0", "far0"), ("calia", "peer")):
                links.create_veth(one, other)
                links.set_up(one)
                links.set_up(other)
            links.add_address("eth0", parse_prefix("172.16.1.2/16"))
            batches(sock, str(path))
            driver()
            tunnel()
    finally:
        namespaces.delete_named(name)


if __name__ == "__main__":
    main()
