"""The iptables driver, over both of the kernel's engines, against the commands on the same text.

In a namespace of its own; needs root. Prints a JSON line a figure: {"name", "value", "unit"}.
Whatever changes a rule runs an `iptables-restore`: its time on the same text, with the same tables
there, is the least that any driver that calls it pays.
"""

import asyncio
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.nftables import BIG, cluster, policy, policy_id, report, single, timed
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.dataplane.iptables.chains import policy_chains
from tortie.dataplane.iptables.edits import PutChain
from tortie.dataplane.iptables.names import set_name
from tortie.dataplane.iptables.restore import table_text
from tortie.dataplane.policy.families import FAMILIES
from tortie.engine.delta import Delta, MemberChange, SetContents
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.policy.program import SetKind

PROGRAMS = {4: "iptables", 6: "ip6tables"}
WATCHED = 5.0  # seconds of watching what nobody changes


def restore(backend: Backend, version: int, text: str, *options: str) -> None:
    command = [f"{PROGRAMS[version]}-{backend}-restore", *options]
    subprocess.run(command, input=text, text=True, check=True)


def saved(backend: Backend, version: int) -> str:
    command = [f"{PROGRAMS[version]}-{backend}-save"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def driver_of(backend: Backend) -> Iterator[IptablesDataplane]:
    with IptablesDataplane(IptablesSettings(backend=backend)) as driver:
        yield driver


def from_nothing(backend: Backend, driver: IptablesDataplane) -> None:
    """10,000 rules in 4,000 chains of each IP version, with 2,000 sets."""
    driver.fold(cluster())
    report(f"ipt_{backend}_from_nothing", timed(driver.resync), "ms")
    texts = {version: saved(backend, version) for version in PROGRAMS}
    sets = subprocess.run(["ipset", "save"], capture_output=True, text=True, check=True).stdout
    rival = timed(
        lambda: [restore(backend, version, text, "-w") for version, text in texts.items()]
    )
    again = sets.replace("cali", "rival")
    rival += timed(lambda: subprocess.run(["ipset", "restore"], input=again, text=True, check=True))
    names = [one.split()[1] for one in again.splitlines() if one.startswith("create")]
    gone = "".join(f"destroy {one}\n" for one in names)
    subprocess.run(["ipset", "restore"], input=gone, text=True, check=True)
    report(f"ipt_{backend}_from_nothing_by_commands", rival, "ms")


def adopted(backend: Backend) -> None:
    """A driver that starts and finds all well."""
    with driver_of(backend) as driver:
        driver.fold(cluster())
        report(f"ipt_{backend}_adopt", timed(driver.resync), "ms")
        assert driver.written == 0


def edits(backend: Backend, driver: IptablesDataplane) -> None:
    """One policy among 2,000 gets other ports."""
    times = [
        timed(lambda n=n: driver.apply(Delta(policies={policy_id(n): policy(n, 3000 + n)})))
        for n in range(20)
    ]
    report(f"ipt_{backend}_policy_edit_2000", statistics.median(times), "ms")
    rendered = policy_chains(policy(40, 5000), FAMILIES[0], IptablesSettings())
    text = table_text("filter", [PutChain(4, one) for one in rendered])
    rival = [timed(lambda: restore(backend, 4, text, "-w", "--noflush")) for _ in range(20)]
    report(f"ipt_{backend}_policy_edit_2000_by_command", statistics.median(rival), "ms")


def members(backend: Backend, driver: IptablesDataplane) -> None:
    """One member into and out of a set of 100,000."""
    addresses = frozenset(single(2 * n) for n in range(BIG))
    whole = Delta(sets={"big": SetContents(SetKind.NET, addresses)})
    report(f"ipt_{backend}_set_of_100k", timed(lambda: driver.apply(whole)), "ms")
    times = []
    for number in range(BIG, BIG + 50):
        change = frozenset({single(2 * number + 1)})
        for one in (MemberChange(added=change), MemberChange(removed=change)):
            delta = Delta(members={"big": one})
            times.append(timed(lambda delta=delta: driver.apply(delta)))
    report(f"ipt_{backend}_member_100k", statistics.median(times), "ms")
    command = ["ipset", "-exist", "restore"]
    text = f"add {set_name(4, 'big')} 10.99.99.99\n"
    rival = [
        timed(lambda: subprocess.run(command, input=text, text=True, check=True)) for _ in range(20)
    ]
    report(f"ipt_{backend}_member_100k_by_command", statistics.median(rival), "ms")
    driver.apply(Delta(sets_removed=frozenset({"big"})))


def idle(backend: Backend, driver: IptablesDataplane) -> None:
    """What it costs to watch 10,000 rules and 2,000 sets that nobody changes."""

    async def watch() -> float:
        told: list[str] = []
        watch = driver.watch(told.append)
        watch.start()
        await asyncio.sleep(1)  # the first look at everything is no part of the rest
        before = time.process_time()
        await asyncio.sleep(WATCHED)
        spent = time.process_time() - before
        watch.close()
        assert told == []
        return spent

    report(f"ipt_{backend}_watch_cpu", asyncio.run(watch()) / WATCHED * 100, "% of a CPU")


def measure(backend: Backend) -> None:
    with driver_of(backend) as driver:
        steps: list[Callable[[Backend, IptablesDataplane], None]]
        steps = [from_nothing, edits, idle, members]
        for step in steps:
            step(backend, driver)
        driver.resync()
    with driver_of(backend) as driver:
        driver.fold(cluster())
        driver.resync()
    adopted(backend)


def main() -> None:
    for backend in Backend:
        name = f"tb{os.getpid()}-{backend}"
        create_named(name)
        try:
            with in_namespace(f"/run/netns/{name}"):
                measure(backend)
        finally:
            delete_named(name)


if __name__ == "__main__":
    main()
