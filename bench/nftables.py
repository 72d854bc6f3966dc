"""The nftables driver against the `nft` command, in a namespace of its own. Needs root.

Prints a JSON line a figure: {"name", "value", "unit"}. Rivals run in the same process's namespace
on the same tables: what the command prints as its own is what a driver that calls it would pay.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator

from tortie.dataplane.nftables import NftablesDataplane
from tortie.dataplane.nftables.names import Way, policy_chain, set_name
from tortie.engine.delta import (
    ALL_HOSTS,
    ALL_POOLS,
    MASQ_POOLS,
    Delta,
    MemberChange,
    SetContents,
)
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.net import PortRange, Prefix
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    PeerMatch,
    Policy,
    PolicyId,
    Rule,
    SetKind,
    TierPolicies,
)

BIG = 100_000
POLICIES, RULES, ENDPOINTS = 2_000, 5, 200
BASE = 0x0A000000


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def timed(what: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    what()
    return (time.perf_counter() - start) * 1000


def nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def policy_id(number: int) -> PolicyId:
    return PolicyId("NetworkPolicy", "bench", f"policy-{number}")


def policy(number: int, first_port: int = 1000) -> Policy:
    """A policy of five rules, each on its own set's peers and some port."""
    peers = PeerMatch(sets=(f"set-{number}",))
    rules = tuple(
        Rule(
            Action.ALLOW,
            ip_version=4,
            protocol=6,
            source=peers,
            destination=PeerMatch(ports=(PortRange(port, port),)),
        )
        for port in range(first_port, first_port + RULES)
    )
    return Policy(policy_id(number), "default", rules)


def single(number: int) -> Prefix:
    return Prefix.single(4, BASE + number)


def cluster() -> Delta:
    """2,000 policies with a set each and 10,000 rules; 200 endpoints with ten policies each."""
    fixed = {
        name: SetContents(SetKind.NET, frozenset()) for name in (MASQ_POOLS, ALL_POOLS, ALL_HOSTS)
    }
    sets = {
        f"set-{n}": SetContents(SetKind.NET, frozenset(single(n * 10 + k) for k in range(10)))
        for n in range(POLICIES)
    }
    return Delta(
        sets={**fixed, **sets},
        policies={policy_id(n): policy(n) for n in range(POLICIES)},
        endpoints={one.id: one for one in map(endpoint, range(ENDPOINTS))},
    )


def endpoint(number: int) -> Endpoint:
    own = tuple(policy_id(number * 10 + k) for k in range(10))
    return Endpoint(
        EndpointId("WorkloadEndpoint", "bench", f"pod-{number}"),
        f"cali{number}",
        (single(number),),
        ingress=(TierPolicies("default", DefaultAction.DENY, own),),
    )


def members(driver: NftablesDataplane, layout: str, first: Prefix) -> None:
    """One member into and out of a set of 100,000."""
    name = f"big-{layout}"
    addresses = frozenset({first, *(single(2 * n) for n in range(BIG))})
    driver.apply(Delta(sets={name: SetContents(SetKind.NET, addresses)}))

    def one_member(number: int) -> Iterator[float]:
        change = frozenset({single(2 * number + 1)})
        yield timed(lambda: driver.apply(Delta(members={name: MemberChange(added=change)})))
        yield timed(lambda: driver.apply(Delta(members={name: MemberChange(removed=change)})))

    times = [one for number in range(BIG, BIG + 50) for one in one_member(number)]
    report(f"nft_member_{layout}_100k", statistics.median(times), "ms")
    place = f"element ip calico {set_name(4, name)} {{ 10.99.99.99 }}"
    rival = [timed(lambda verb=verb: nft(f"{verb} {place}")) for verb in ("add", "delete") * 2]
    report(f"nft_member_{layout}_100k_by_nft_command", statistics.median(rival), "ms")
    driver.apply(Delta(sets_removed=frozenset({name})))


def edits(driver: NftablesDataplane) -> None:
    """One policy among 2,000 with 2,000 sets gets other ports."""
    times = [
        timed(lambda n=n: driver.apply(Delta(policies={policy_id(n): policy(n, 3000 + n)})))
        for n in range(30)
    ]
    report("nft_policy_edit_2000_chains", statistics.median(times), "ms")
    chain, name = policy_chain(Way.TO, policy_id(40)), set_name(4, "set-40")
    lines = [
        f"add rule ip calico {chain} meta l4proto 6 ip saddr @{name} th dport {port} return"
        for port in range(RULES)
    ]
    text = "\n".join([f"flush chain ip calico {chain}", *lines])
    rival = statistics.median(timed(lambda: nft(text)) for _ in range(5))
    report("nft_policy_edit_2000_chains_by_nft_command", rival, "ms")


def load_and_adopt() -> NftablesDataplane:
    """10,000 rules from nothing, against the command on the same tables; then a restart."""
    delta = cluster()
    driver = NftablesDataplane()
    driver.fold(delta)
    report("nft_load_10k_rules", timed(driver.resync), "ms")
    listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    nft("flush ruleset")
    report("nft_load_10k_rules_by_nft_command", timed(lambda: nft(listed.stdout)), "ms")
    driver.resync()
    driver.close()
    restarted = NftablesDataplane()
    restarted.fold(delta)
    before = restarted.generation()
    report("nft_adopt_10k_rules", timed(restarted.resync), "ms")
    report("nft_adopt_10k_rules_transactions", restarted.generation() - before, "count")
    return restarted


def main() -> None:
    name = f"bench-nft-{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path):
            driver = load_and_adopt()
            edits(driver)
            members(driver, "hash", single(1))
            members(driver, "interval", Prefix(4, 0x0B000000, 24))
            driver.close()
    finally:
        delete_named(name)


if __name__ == "__main__":
    main()
