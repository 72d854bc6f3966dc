"""Bandwidth asked for against bandwidth measured, and what a limit costs.

Each figure stands beside the reference `bandwidth` plugin's of the same run, where that is
installed. The sender is one TCP connection; what it gets is told in bytes of whole frames, as the
limit counts them. Needs root; works in network namespaces of its own.
"""

import json
import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tortie.api.calico.workload_endpoint import QosControls
from tortie.dataplane.qos import QosDriver
from tortie.dataplane.qos.desired import IFB_PREFIX
from tortie.engine.delta import Delta
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.policy.program import Endpoint, EndpointId

MEGABITS = (1, 10, 100, 1000)
SECONDS = 1.5  # of sending, after what the bucket holds
INTERFACES = 100
PLUGIN = Path("/usr/lib/cni/bandwidth")
_FRAME, _PAYLOAD = 1514, 1448  # of a full TCP segment with timestamps
_NODE, _POD = f"bqn{os.getpid()}", f"bqp{os.getpid()}"
_HERE, _THERE = "10.98.0.1", "10.98.0.2"


def emit(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(json.dumps({"name": f"qos.{name}", "value": round(value, 4), "unit": unit}), flush=True)


def command(namespace: str, *words: str, text: str = "", **variables: str) -> str:
    """A command in a namespace."""
    with in_namespace(f"/run/netns/{namespace}"):
        done = subprocess.run(
            words,
            input=text,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **variables},
        )
    return done.stdout


def plug() -> None:
    """The workload's link, in the node's namespace and the workload's."""
    command(
        *(_NODE, "ip", "link", "add", "calib", "type", "veth"),
        *("peer", "name", "eth0", "netns", _POD),
    )
    for space, device, address in ((_NODE, "calib", _HERE), (_POD, "eth0", _THERE)):
        command(space, "ip", "link", "set", device, "up")
        command(space, "ip", "address", "add", f"{address}/24", "dev", device)


def opened(namespace: str) -> socket.socket:
    """A TCP socket of a namespace."""
    with in_namespace(f"/run/netns/{namespace}"):
        return socket.socket()


def throughput(direction: str, size: int) -> float:
    """Bits a second on the wire for so many bytes, without their first fifth."""
    source, sink = (_NODE, _POD) if direction == "ingress" else (_POD, _NODE)
    listener, sender = opened(sink), opened(source)
    with listener, sender:
        listener.bind((_THERE if sink == _POD else _HERE, 0))
        listener.listen()
        sender.connect(listener.getsockname())
        receiver, _ = listener.accept()
        thread = threading.Thread(target=send, args=(sender, size))
        thread.start()
        with receiver:
            marks = receive(receiver)
        thread.join()
    first = next(mark for mark in marks if mark[1] >= size // 5)
    last = marks[-1]
    return (last[1] - first[1]) * 8 * _FRAME / _PAYLOAD / (last[0] - first[0])


def send(sender: socket.socket, size: int) -> None:
    """All bytes, then the end."""
    block = bytes(256 * 1024)
    while size > 0:
        size -= sender.send(block[:size])
    sender.shutdown(socket.SHUT_WR)


def receive(receiver: socket.socket) -> list[tuple[float, int]]:
    """When how many bytes had come."""
    total, marks = 0, []
    while block := receiver.recv(1 << 20):
        total += len(block)
        marks.append((time.perf_counter(), total))
    return marks


def limited(interface: str, **limits: int) -> Delta:
    """The delta that gives a workload these limits."""
    name = EndpointId("WorkloadEndpoint", "bench", interface)
    endpoint = Endpoint(id=name, interface=interface, addresses=(), qos=QosControls(**limits))
    return Delta(endpoints={name: endpoint})


def plugin(verb: str, megabit: int, burst: int) -> None:
    """The reference plugin limits both directions."""
    result = {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "calib", "mac": ""},
            {"name": "eth0", "sandbox": f"/run/netns/{_POD}"},
        ],
        "ips": [{"address": f"{_THERE}/24", "interface": 1}],
    }
    config = {
        "cniVersion": "1.0.0",
        "name": "bench",
        "type": "bandwidth",
        "ingressRate": megabit * 10**6,
        "ingressBurst": burst,
        "egressRate": megabit * 10**6,
        "egressBurst": burst,
        "prevResult": result,
    }
    variables = {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": "bench",
        "CNI_NETNS": f"/run/netns/{_POD}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(PLUGIN.parent),
    }
    command(_NODE, str(PLUGIN), text=json.dumps(config), **variables)


def accuracy(driver: QosDriver) -> None:
    """Measured against asked, for each rate and direction: ours, and the plugin's."""
    for megabit in MEGABITS:
        asked, burst = megabit * 10**6, megabit * 40_000
        size = int(asked / 8 * SECONDS)
        for direction in ("ingress", "egress"):
            driver.apply(
                limited("calib", **{f"{direction}_bandwidth": asked, f"{direction}_burst": burst})
            )
            got = throughput(direction, size)
            emit(f"{direction}_{megabit}_mbit_measured_against_asked", got / asked, "ratio")
        driver.apply(limited("calib"))
        if PLUGIN.exists():
            plugin("ADD", megabit, burst)
            for direction in ("ingress", "egress"):
                got = throughput(direction, size)
                emit(f"plugin_{direction}_{megabit}_mbit_measured_against_asked", got / asked, "")
            unplug()


def unplug() -> None:
    """Begin again with a link that has no queues of anybody's."""
    command(_NODE, "ip", "link", "del", "calib")
    for device in json.loads(command(_NODE, "ip", "-j", "link")):
        if device["ifname"].startswith(("bwp", IFB_PREFIX)):
            command(_NODE, "ip", "link", "del", device["ifname"])
    plug()


def cost(driver: QosDriver) -> None:
    """What passes with a limit that is never reached, against none."""
    size = 2_000_000_000
    for direction in ("ingress", "egress"):
        free = throughput(direction, size)
        driver.apply(
            limited(
                "calib",
                **{f"{direction}_bandwidth": 10**12, f"{direction}_burst": 8 * 10**9},
            )
        )
        bound = throughput(direction, size)
        driver.apply(limited("calib"))
        emit(f"{direction}_unreached_limit_against_none", bound / free, "ratio")


def speed(driver: QosDriver) -> None:
    """How long limits take to be programmed and adopted."""
    names = [f"calis{n}" for n in range(INTERFACES)]
    for name in names:
        command(_NODE, "ip", "link", "add", name, "type", "veth", "peer", "name", f"p{name[4:]}")
    each = []
    for name in names:
        delta = limited(name, ingress_bandwidth=10**7, egress_bandwidth=10**7, ingress_burst=10**5)
        each.append(seconds(lambda delta=delta: driver.apply(delta)))
    emit("limits_of_one_workload", 1000 * statistics.median(each), "ms")
    emit("a_look_at_100_limited_workloads", 1000 * seconds(driver.resync), "ms")


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """All figures."""
    try:
        create_named(_NODE)
        create_named(_POD)
        plug()
        with in_namespace(f"/run/netns/{_NODE}"):
            sock = NetlinkSocket()
        driver = QosDriver(lambda: sock)
        accuracy(driver)
        cost(driver)
        speed(driver)
        driver.close()
    finally:
        for name in (_NODE, _POD):
            delete_named(name)


if __name__ == "__main__":
    main()
