"""From one firewall to another on a running node: no moment without policy, nothing left behind."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from itertools import cycle, permutations
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from dataplane.iptables.scenes import friends_only, who_reaches_pod_1
from dataplane.iptables.worlds import forget_everything, new_driver, run, saved
from dataplane.packets import PacketLab, Sent
from dataplane.programming import WORKLOADS
from strategies.programs import HOSTS4
from tortie.dataplane.iptables import (
    Backend,
    Firewall,
    IptablesSettings,
    Succession,
    policy_driver,
)
from tortie.dataplane.iptables.backends import choose, detect
from tortie.dataplane.nftables import NftSettings
from tortie.policy import Packet

pytestmark = pytest.mark.root

KILLS = int(os.environ.get("TORTIE_IPTABLES_KILLS", "12"))
CHANGES = int(os.environ.get("TORTIE_FIREWALL_CHANGES", "3"))
AT_ONCE = 20  # packets of each kind
Choice = tuple[Firewall, Backend | None]
CHOICES: list[Choice] = [
    (Firewall.NFTABLES, None),
    (Firewall.IPTABLES, Backend.LEGACY),
    (Firewall.IPTABLES, Backend.NFT),
]
QUESTION = Packet(4, 0, HOSTS4[1].address, 17, 1000, 1)


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        yield made


@pytest.fixture
def lab(shared_lab: PacketLab) -> PacketLab:
    forget_everything(shared_lab)
    shared_lab.forget_connections()
    return shared_lab


def driver_of(choice: Choice) -> Succession:
    """For use inside the node's namespace."""
    firewall, backend = choice
    return policy_driver(firewall, NftSettings(), IptablesSettings(backend=backend))


def take_over(lab: PacketLab, choice: Choice) -> None:
    """What an agent with these settings does from its start to its first write."""
    with lab.inside():
        driver = driver_of(choice)
        assert driver.guard().failed == ()
        driver.fold(friends_only(HOSTS4[0]))
        assert driver.resync().failed == ()
        driver.close()


def left_of(lab: PacketLab, choice: Choice) -> bool:
    """Whether there is something of a firewall."""
    firewall, backend = choice
    if firewall is Firewall.NFTABLES:
        return "table ip calico" in lab.nft("list", "tables")
    rules = run(lab, f"iptables-{backend}-save") + run(lab, f"ip6tables-{backend}-save")
    return "cali" in rules


@pytest.mark.parametrize(("old", "new"), list(permutations(CHOICES, 2)))
def test_a_change_loses_no_packet_and_lets_none_through(
    lab: PacketLab, old: Choice, new: Choice
) -> None:
    for _ in range(CHANGES):
        forget_everything(lab)
        take_over(lab, old)
        change_under_traffic(lab, new)
        assert who_reaches_pod_1(lab) == {0}
        assert [one for one in CHOICES if left_of(lab, one)] == [new]
        if new[0] is Firewall.NFTABLES:
            assert run(lab, "ipset", "list", "-name") == ""


def change_under_traffic(lab: PacketLab, new: Choice) -> None:
    """Send what is allowed and what is not, until the new firewall is alone and once more."""
    errors: list[BaseException] = []

    def change() -> None:
        try:
            take_over(lab, new)
        except BaseException as problem:
            errors.append(problem)

    worker = Thread(target=change)
    worker.start()
    ports = cycle(range(10_000, 60_000))
    is_over = False
    while not is_over:
        is_over = not worker.is_alive()
        questions = [replace(QUESTION, destination_port=next(ports)) for _ in range(AT_ONCE)]
        allowed = [Sent("cali0", replace(one, source=HOSTS4[0].address)) for one in questions]
        denied = [Sent("cali2", replace(one, source=HOSTS4[2].address)) for one in questions]
        assert lab.deliver([*allowed, *denied]) == [True] * AT_ONCE + [False] * AT_ONCE
    worker.join()
    assert errors == []


def test_the_old_rules_stay_until_the_program_is_known(lab: PacketLab) -> None:
    """The datastore may be away at the start: what was allowed goes on, what was not stays shut."""
    take_over(lab, CHOICES[1])
    before = saved(lab, Backend.LEGACY).count("-A cali")
    with lab.inside():
        driver = driver_of(CHOICES[0])
        assert driver.guard().failed == ()
        driver.close()
    assert saved(lab, Backend.LEGACY).count("-A cali") == before
    assert who_reaches_pod_1(lab) == {0}


def test_without_any_rules_the_new_driver_shuts_everything(lab: PacketLab) -> None:
    for choice in CHOICES:
        forget_everything(lab)
        with lab.inside():
            driver = driver_of(choice)
            driver.guard()
            driver.close()
        assert who_reaches_pod_1(lab) == set()


@pytest.mark.parametrize(
    ("legacy", "nft", "version", "chosen"),
    [
        (3, 0, "iptables v1.8.9 (nf_tables)", Backend.LEGACY),
        (0, 3, "iptables v1.8.9 (legacy)", Backend.NFT),
        (0, 0, "iptables v1.8.9 (legacy)", Backend.LEGACY),
        (0, 0, "iptables v1.8.9 (nf_tables)", Backend.NFT),
        (0, 0, "iptables v1.4.21", Backend.NFT),
    ],
)
def test_the_backend_is_where_the_rules_of_others_are(
    legacy: int, nft: int, version: str, chosen: Backend
) -> None:
    assert choose(legacy, nft, version) is chosen


@pytest.mark.parametrize("backend", Backend)
def test_our_own_rules_do_not_tell_the_backend(lab: PacketLab, backend: Backend) -> None:
    (other,) = set(Backend) - {backend}
    with new_driver(lab, other) as driver:
        driver.apply(friends_only(HOSTS4[0]))
    run(lab, f"iptables-{backend}", "-w", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
    with lab.inside():
        assert detect() is backend


WRITER = """
    import itertools, sys
    from dataplane.iptables.scenes import POLICY, friends_only
    from dataplane.iptables.worlds import Backend, IptablesDataplane, IptablesSettings
    from msgspec.structs import replace
    from strategies.programs import HOSTS4
    from tortie.policy.program import Action, PeerMatch, Policy, Rule

    def only(number):
        rule = Rule(Action.ALLOW, source=PeerMatch(nets=(HOSTS4[number],)))
        policy = Policy(POLICY, "default", (rule,), ())
        return replace(friends_only(), policies={POLICY: policy})

    driver = IptablesDataplane(IptablesSettings(backend=Backend(sys.argv[1])))
    for number in itertools.cycle((0, 2)):
        assert driver.apply(only(number)).failed == ()
        print("written", flush=True)
"""


@pytest.mark.parametrize("backend", Backend)
def test_a_kill_at_any_moment_leaves_the_last_good_or_the_new_state(
    lab: PacketLab, backend: Backend
) -> None:
    """The whole process group dies: the agent, and iptables-restore in the middle of its work."""
    root = Path(__file__).parents[2]
    chance = random.Random(7)
    for _ in range(KILLS):
        with lab.inside():
            writer = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(WRITER), backend],
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(root)},
            )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"written\n"
            time.sleep(chance.random() * 0.05)  # when it dies is chance; no outcome hangs on it
        finally:
            os.killpg(writer.pid, signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
        assert who_reaches_pod_1(lab) in ({0}, {2})
    with new_driver(lab, backend) as driver:
        assert driver.apply(friends_only(HOSTS4[2])).failed == ()
    assert who_reaches_pod_1(lab) == {2}
