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

from tortie.dataplane.nftables import NftablesDataplane, NftSettings
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


def policy(number: int, first_port: int = 1000, apart: int = 1) -> Policy:
    """A policy of five rules, each on its own set's peers and a port; these are so far `apart`."""
    peers = PeerMatch(sets=(f"set-{number}",))
    rules = tuple(
        Rule(
            Action.ALLOW,
            ip_version=4,
            protocol=6,
            source=peers,
            destination=PeerMatch(ports=(PortRange(port, port),)),
        )
        for port in range(first_port, first_port + RULES * apart, apart)
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
    for name, apart in (("", 1), ("_with_a_set_of_ports", 7)):
        times = [
            timed(
                lambda n=n, apart=apart: driver.apply(
                    Delta(policies={policy_id(n): policy(n, 3000 + n, apart)})
                )
            )
            for n in range(60)
        ]
        report(f"nft_policy_edit_2000_chains{name}", statistics.median(times), "ms")
    chain, name = policy_chain(Way.TO, policy_id(40)), set_name(4, "set-40")
    lines = [
        f"add rule ip calico {chain} meta l4proto 6 ip saddr @{name} th dport {port} return"
        for port in range(RULES)
    ]
    text = "\n".join([f"flush chain ip calico {chain}", *lines])
    rival = statistics.median(timed(lambda: nft(text)) for _ in range(5))
    report("nft_policy_edit_2000_chains_by_nft_command", rival, "ms")


def runs(driver: NftablesDataplane) -> None:
    """One of 1,000 policies of an endpoint gets another port, by which policies are told apart."""
    ids = [policy_id(POLICIES + n) for n in range(1000)]
    policies = {one: _of_port(one, 10_000 + n) for n, one in enumerate(ids)}
    tiers = (TierPolicies("default", DefaultAction.DENY, tuple(ids)),)
    name = EndpointId("WorkloadEndpoint", "bench", "many")
    behind = Endpoint(name, "califmany", (single(9_999),), ingress=tiers)
    driver.apply(Delta(policies=policies, endpoints={name: behind}))
    times = [
        timed(lambda n=n: driver.apply(Delta(policies={ids[n]: _of_port(ids[n], 20_000 + n)})))
        for n in range(10)
    ]
    report("nft_policy_edit_of_1000_on_an_endpoint", statistics.median(times), "ms")
    driver.apply(Delta(endpoints_removed=frozenset({name}), policies_removed=frozenset(policies)))


def _of_port(name: PolicyId, port: int) -> Policy:
    allowed = PeerMatch(ports=(PortRange(port, port),))
    return Policy(name, "default", (Rule(Action.ALLOW, protocol=6, destination=allowed),))


def load(delta: Delta, settings: NftSettings, name: str) -> None:
    """From nothing, against the command on what is then there; then by a restart. Best of three."""
    own, rival, adopted = list[float](), list[float](), list[float]()
    for _ in range(3):
        nft("flush ruleset")
        own.append(_load(delta, settings))
        adopted.append(_load(delta, settings))
        listed = subprocess.run(
            ["nft", "list", "ruleset"], capture_output=True, text=True, check=True
        )
        nft("flush ruleset")
        rival.append(timed(lambda text=listed.stdout: nft(text)))
    report(f"nft_load_10k_rules{name}", min(own), "ms")
    report(f"nft_load_10k_rules{name}_by_nft_command", min(rival), "ms")
    report(f"nft_load_10k_rules{name}_against_nft_command", min(own) / min(rival), "times")
    report(f"nft_adopt_10k_rules{name}", min(adopted), "ms")


def _load(delta: Delta, settings: NftSettings) -> float:
    with NftablesDataplane(settings) as driver:
        driver.fold(delta)
        return timed(driver.resync)


def main() -> None:
    name = f"bench-nft-{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path):
            delta = cluster()
            load(delta, NftSettings(coalesce=True), "_put_together")
            load(delta, NftSettings(coalesce=False), "")
            nft("flush ruleset")
            driver = NftablesDataplane()
            driver.fold(delta)
            driver.resync()
            edits(driver)
            runs(driver)
            members(driver, "hash", single(1))
            members(driver, "interval", Prefix(4, 0x0B000000, 24))
            driver.close()
    finally:
        delete_named(name)


if __name__ == "__main__":
    main()
