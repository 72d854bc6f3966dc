"""How long CNI calls take: the whole plugin process, with a real agent on a node of its own.

Prints one JSON object per line: {"name", "value", "unit"}. Needs root. Beside it, where it is
installed, the reference bridge plugin with host-local addresses, which knows no policy.
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cni.node import RealNode

SINGLE = 100
BURST = 30
REFERENCE = Path("/usr/lib/cni")


def main() -> None:
    """Measure, and print as it comes."""
    with tempfile.TemporaryDirectory(prefix="tortie-bench-") as folder:
        node = RealNode(Path(folder))
        try:
            node.start_ready()
            for name, value, unit in (*ours(node), *reference(node)):
                print(
                    json.dumps({"name": name, "value": round(value, 2), "unit": unit}), flush=True
                )
        finally:
            node.close()


def ours(node: RealNode) -> Iterator[tuple[str, float, str]]:
    """Our plugin: ADD, CHECK and DEL one after another, then a burst of ADDs."""
    pods = [(f"p{number}", node.namespace(f"p{number}")) for number in range(SINGLE)]
    for pod, _ in pods:
        node.pod(pod)
    for command in ("ADD", "CHECK", "DEL"):
        times = [_timed(node.cni, command, f"id-{pod}", netns, pod) for pod, netns in pods]
        yield from _percentiles(f"cni.{command.lower()}", times)
    started = time.perf_counter()
    _finish([node.cni_start("ADD", f"b-{pod}", netns, pod) for pod, netns in pods[:BURST]])
    yield f"cni.add.burst{BURST}", (time.perf_counter() - started) * 1e3, "ms"
    yield from _percentiles("cni.shim", [_timed(node.cni, "VERSION") for _ in pods])
    status = Path(f"/proc/{node.agent.pid}/status").read_text()
    resident = float(status.partition("VmRSS:")[2].split()[0])
    yield "agent.resident", resident / 1024, "MiB"


def reference(node: RealNode) -> Iterator[tuple[str, float, str]]:
    """The reference plugins, in the same node."""
    if not (REFERENCE / "bridge").exists():
        return
    with tempfile.TemporaryDirectory() as data:
        ipam = {"type": "host-local", "subnet": "10.88.0.0/16", "dataDir": data}
        config = json.dumps(
            {"cniVersion": "1.0.0", "name": "ref", "type": "bridge", "bridge": "ref0", "ipam": ipam}
        )
        calls = [(f"r{number}", node.namespace(f"ref{number}"), config) for number in range(SINGLE)]
        for command in ("ADD", "DEL"):
            times = [_timed(_bridge, node, command, *call) for call in calls]
            yield from _percentiles(f"reference.{command.lower()}", times)
        started = time.perf_counter()
        _finish([_bridge_start(node, "ADD", *call) for call in calls[:BURST]])
        yield f"reference.add.burst{BURST}", (time.perf_counter() - started) * 1e3, "ms"


def _bridge(node: RealNode, command: str, container: str, netns: str, config: str) -> None:
    _finish([_bridge_start(node, command, container, netns, config)])


def _bridge_start(
    node: RealNode, command: str, container: str, netns: str, config: str
) -> subprocess.Popen[bytes]:
    environ = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": netns,
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(REFERENCE),
    }
    process = subprocess.Popen(
        ["nsenter", f"--net={node.netns}", REFERENCE / "bridge"],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(config.encode())
    process.stdin.close()
    process.stdin = None
    return process


def _finish(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        output = process.communicate(timeout=120)[0]
        if process.returncode:
            raise SystemExit(f"bench: a plugin failed: {output.decode()}")


def _timed(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    done = work(*arguments)
    took = (time.perf_counter() - started) * 1e3
    if getattr(done, "returncode", 0):
        raise SystemExit(f"bench: a plugin failed: {done}")
    return took


def _percentiles(name: str, times: list[float]) -> Iterator[tuple[str, float, str]]:
    ranks = statistics.quantiles(times, n=100, method="inclusive")
    yield f"{name}.p50", ranks[49], "ms"
    yield f"{name}.p99", ranks[98], "ms"


if __name__ == "__main__":
    main()
