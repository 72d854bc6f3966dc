"""How long CNI calls take: whole plugin processes, with a real agent on a node of its own.

Prints one JSON object per line: {"name", "value", "unit"}, and on stderr each aim beside what was
measured. Needs root. The rival in the same run is the reference bridge plugin with host-local
addresses (Debian's containernetworking-plugins), which knows no policy, no datastore and no other
node; rounds of both alternate, so that what else the machine does meets both.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.cni.node import RealNode

from tortie.linux.namespaces import in_namespace

SINGLE = 100
BURST = 30
ROUNDS = 7
REFERENCE = Path("/usr/lib/cni/bridge")
AIMS = {  # in ms
    "cni.add.p50": 25.0,
    f"cni.add.burst{BURST}": 300.0,
    "cni.shim.p50": 20.0,
    "cni.del.p50": 20.0,
}


class Call(NamedTuple):
    """One start of a plugin: its program, environment, and a file with its configuration."""

    program: Path
    environ: dict[str, str]
    config: Path


class Pod(NamedTuple):
    """A container to be: its name and its network namespace."""

    name: str
    netns: str


def main() -> None:
    """Measure, and print as it comes."""
    with tempfile.TemporaryDirectory(prefix="tortie-bench-") as folder:
        node = RealNode(Path(folder))
        try:
            node.start_ready()
            figures = measured(node, Path(folder))
            for name, value in figures.items():
                unit = "MiB" if name.endswith("resident") else "ms"
                unit = "times" if name.endswith("ratio") else unit
                print(json.dumps({"name": name, "value": round(value, 2), "unit": unit}))
            for name, aim in AIMS.items():
                print(f"{name:<20}{figures[name]:8.1f} ms, aim {aim:g}", file=sys.stderr)
        finally:
            node.close()


def measured(node: RealNode, folder: Path) -> dict[str, float]:
    """Every figure by its name."""
    pods = [Pod(f"p{number}", node.namespace(f"p{number}")) for number in range(SINGLE)]
    for pod in pods:
        node.pod(pod.name)
    plugins = [Ours(node, folder), *([Reference(folder)] if REFERENCE.exists() else [])]
    times: defaultdict[str, list[float]] = defaultdict(list)
    with in_namespace(node.netns):  # the reference works in the namespace that it is started in
        for start in range(0, SINGLE, SINGLE // ROUNDS):
            for plugin in plugins:
                _singly(plugin, pods[start : start + SINGLE // ROUNDS], times)
        for number in range(ROUNDS):
            for plugin in plugins:
                _at_once(plugin, pods[:BURST], f"{number}", times)
    found = dict(_summaries(times))
    found |= {name: value for plugin in plugins for name, value in _ratios(plugin.name, found)}
    found["agent.resident"] = _resident(node.agent.pid)
    return found


class Ours:
    """Our plugin."""

    name = "cni"
    commands = ("ADD", "CHECK", "DEL")

    def __init__(self, node: RealNode, folder: Path) -> None:
        self._program = node.plugin
        self._config = folder / "ours.json"
        self._config.write_text(json.dumps({**node.config(), "cniVersion": "1.1.0"}))

    def call(self, command: str, container: str, pod: Pod) -> Call:
        """A call of the plugin."""
        environ = _environ(command, container, pod)
        words = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod.name}"
        return Call(self._program, {**environ, "CNI_ARGS": words}, self._config)


class Reference:
    """The bridge plugin, which calls host-local for addresses."""

    name = "reference"
    commands = ("ADD", "DEL")

    def __init__(self, folder: Path) -> None:
        self._config = folder / "reference.json"
        addresses = {
            "type": "host-local",
            "subnet": "10.88.0.0/16",
            "dataDir": str(folder / "host-local"),
        }
        network = {"cniVersion": "1.0.0", "name": "ref", "type": "bridge", "bridge": "ref0"}
        self._config.write_text(json.dumps({**network, "ipam": addresses}))

    def call(self, command: str, container: str, pod: Pod) -> Call:
        """A call of the plugin, of another interface of the same container."""
        environ = _environ(command, container, pod)
        return Call(REFERENCE, {**environ, "CNI_IFNAME": "ref0"}, self._config)


Plugin = Ours | Reference


def _environ(command: str, container: str, pod: Pod) -> dict[str, str]:
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": pod.netns,
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(REFERENCE.parent),
    }


def _singly(plugin: Plugin, pods: Sequence[Pod], times: defaultdict[str, list[float]]) -> None:
    """One after another."""
    for command in plugin.commands:
        for pod in pods:
            call = plugin.call(command, f"id-{pod.name}", pod)
            times[f"{plugin.name}.{command.lower()}"].append(_timed([call]))
    if isinstance(plugin, Ours):
        for name, command in (("shim", "VERSION"), ("status", "STATUS")):
            calls = [plugin.call(command, "", pod) for pod in pods]
            times[f"{plugin.name}.{name}"] += [_timed([call]) for call in calls]


def _at_once(
    plugin: Plugin, pods: Sequence[Pod], number: str, times: defaultdict[str, list[float]]
) -> None:
    """All of them in one moment, as after a node's restart."""
    for command in ("ADD", "DEL"):
        calls = [plugin.call(command, f"b{number}-{pod.name}", pod) for pod in pods]
        times[f"{plugin.name}.{command.lower()}.burst{BURST}"].append(_timed(calls))


def _timed(calls: Sequence[Call]) -> float:
    """Milliseconds from the first start to the last end. Ends the run where a plugin failed."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        processes = [_start(call, output.fileno()) for call in calls]
        ends = [os.waitpid(process, 0)[1] for process in processes]
        took = (time.perf_counter() - started) * 1e3
        if any(ends):
            output.seek(0)
            raise SystemExit(f"bench: a plugin failed: {output.read().decode()}")
    return took


def _start(call: Call, output: int) -> int:
    """As a runtime does: at little cost of its own."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, str(call.config), os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    return os.posix_spawn(call.program, [str(call.program)], call.environ, file_actions=actions)


def _summaries(times: dict[str, list[float]]) -> Iterator[tuple[str, float]]:
    for name, found in times.items():
        if "burst" in name:
            yield name, statistics.median(found)
            continue
        ranks = statistics.quantiles(found, n=100, method="inclusive")
        yield f"{name}.p50", ranks[49]
        yield f"{name}.p99", ranks[98]


def _ratios(plugin: str, found: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Ours to the reference's, of the same run."""
    for name, value in found.items():
        rival = found.get(name.replace("cni.", "reference.", 1))
        if plugin == "cni" and name.startswith("cni.") and rival:
            yield f"{name}.ratio", value / rival


def _resident(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
