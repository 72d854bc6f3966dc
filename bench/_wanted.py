"""What the dataplane promises beside what the last run measured: `python -m bench._wanted`.

Reads `bench-results.json`, prints a table of 80 columns. Status 1 where a promise is not kept: on a
machine that does much else that says little, so `make bench-dataplane` does not end with it.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

RESULTS = Path("bench-results.json")


class Wanted(NamedTuple):
    """A figure, or (`by`) its ratio to another of the same run, and its bound."""

    what: str
    figure: str
    bound: float
    unit: str
    by: str = ""
    at_least: bool = False

    def found(self, figures: Mapping[str, float]) -> float | None:
        """What was measured; None where the run had no such figure."""
        value, other = figures.get(self.figure), figures.get(self.by, 0.0)
        if value is None or not self.by:
            return value
        return value / other if other else None

    def is_kept(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


_FLAT = "nftables_1000_against_nftables_1"
WANTED = (
    Wanted("a policy edited beside 2,000 others", "nft_policy_edit_2000_chains", 1, "ms"),
    Wanted("a member into 100,000 addresses", "nft_member_hash_100k", 2, "ms"),
    Wanted("a member into 100,000 intervals", "nft_member_interval_100k", 15, "ms"),
    Wanted(
        "10,000 rules from nothing, by `nft -f`",
        "nft_load_10k_rules",
        1.5,
        "times",
        "nft_load_10k_rules_by_nft_command",
    ),
    Wanted("10,000 rules adopted at a restart", "nft_adopt_10k_rules", 1000, "ms"),
    Wanted(
        "TCP throughput, 1,000 policies by none",
        "tcp_throughput_nftables_1000_against_no_policy",
        0.95,
        "times",
        at_least=True,
    ),
    Wanted("  by 1 policy", f"tcp_throughput_{_FLAT}", 0.9, "times", at_least=True),
    Wanted(
        "connections/s, 1,000 policies by 1",
        f"tcp_connections_{_FLAT}",
        0.9,
        "times",
        at_least=True,
    ),
    Wanted("latency, 1,000 policies by 1", f"tcp_latency_{_FLAT}", 1.1, "times"),
    Wanted("idle CPU, 100 workloads", "agent_idle_cpu_100_workloads", 1, "%"),
    Wanted(
        "memory, 200 workloads and 10,000 rules",
        "agent_memory_200_workloads_10k_rules",
        100,
        "MiB",
    ),
    Wanted("a foreign `nft flush ruleset` undone", "repair_flush_ruleset", 1000, "ms"),
)


def line(wanted: Wanted, figures: Mapping[str, float]) -> str:
    """One row of the table."""
    value = wanted.found(figures)
    sign = ">=" if wanted.at_least else "<="
    if value is None:
        return f"{wanted.what:<42}{'not measured':>12}"
    word = "kept" if wanted.is_kept(value) else "MISSED"
    bound = f"{sign} {wanted.bound:,g} {wanted.unit}"
    return f"{wanted.what:<42}{value:>12,.3f}  {bound:<14}{word}"


def main() -> int:
    """Print the table; 1 where something is missed."""
    if not RESULTS.exists():
        sys.exit(f"bench: no {RESULTS} here: run `make bench-dataplane` first")
    figures = {one["name"]: float(one["value"]) for one in json.loads(RESULTS.read_text())}
    print(f"{'':<42}{'measured':>12}  {'wanted':<14}")
    for wanted in WANTED:
        print(line(wanted, figures))
    values = [(one, one.found(figures)) for one in WANTED]
    return int(any(value is not None and not one.is_kept(value) for one, value in values))


if __name__ == "__main__":
    sys.exit(main())
