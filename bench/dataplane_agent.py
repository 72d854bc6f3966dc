"""What an agent costs a node at rest: CPU with 100 workloads, memory with 200 and 10,000 rules.

Needs root. The bounds are those that an operator is promised: 1 % of a CPU, 100 MiB. Beside them
stands what Python itself takes: an interpreter that does nothing but wait.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from cni.node import RealNode
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    ObjectMeta,
    Rule,
)

IDLE_SECONDS = float(os.environ.get("TORTIE_BENCH_IDLE_SECONDS", "60"))
FEW, MANY = 100, 200
POLICIES, RULES = 1000, 10
_TICKS = os.sysconf("SC_CLK_TCK")


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


@contextmanager
def node() -> Iterator[RealNode]:
    with tempfile.TemporaryDirectory() as folder:
        made = RealNode(Path(folder), pool="10.77.0.0/20")
        try:
            made.start_ready()
            yield made
        finally:
            made.close()


def attach(made: RealNode, first: int, last: int) -> None:
    for number in range(first, last):
        made.attach(f"pod-{number}", app="web", group=f"g{number % 20}")


def cpu_seconds(process: int) -> float:
    """What the process has used so far, in user and kernel."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def resident_mib(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = [one for one in lines if one.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def idle_cpu(process: int) -> float:
    """Percent of one CPU over the time."""
    begun, before = time.perf_counter(), cpu_seconds(process)
    time.sleep(IDLE_SECONDS)
    return 100 * (cpu_seconds(process) - before) / (time.perf_counter() - begun)


def policy(number: int) -> GlobalNetworkPolicy:
    """Ten rules, of a group of workloads each."""
    rules = tuple(
        Rule(
            action="Allow",
            protocol="TCP",
            source=EntityRule(nets=(f"100.{64 + number % 64}.{n}.0/24",)),
            destination=EntityRule(ports=(1000 + number, 3000 + n)),
        )
        for n in range(RULES)
    )
    spec = GlobalNetworkPolicySpec(
        selector=f"group == 'g{number % 20}'", types=("Ingress",), ingress=rules
    )
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=f"p{number}"), spec=spec)


def bare_interpreter() -> float:
    """MiB of a Python that imports nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = resident_mib(process.pid)
        process.kill()
    return found


def main() -> None:
    with node() as made:
        assert made.agent is not None
        attach(made, 0, FEW)
        report("agent_idle_cpu_100_workloads", idle_cpu(made.agent.pid), "%")
        report("agent_memory_100_workloads", resident_mib(made.agent.pid), "MiB")
        attach(made, FEW, MANY)
        made.applied(made.put(*map(policy, range(POLICIES))))
        report("agent_memory_200_workloads_10k_rules", resident_mib(made.agent.pid), "MiB")
        made.kill()
        made.start_ready()
        report(
            "agent_memory_200_workloads_10k_rules_restarted", resident_mib(made.agent.pid), "MiB"
        )
        report("agent_idle_cpu_200_workloads_10k_rules", idle_cpu(made.agent.pid), "%")
    report("bare_interpreter_memory", bare_interpreter(), "MiB")


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("bench.dataplane_agent: run it as root")
    main()
