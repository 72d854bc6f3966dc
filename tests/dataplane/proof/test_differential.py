"""Generated programs, generated packets, all firewalls: every fate is the evaluator's verdict.

TORTIE_PROGRAMS: how many programs each firewall gets; TORTIE_SEED: the first one's number, so that
one that failed comes again. A failing case shrinks, and prints program, packet, the evaluator's
reason and the rules in force. `make soak` goes on with others for as long as one wants.
"""

import os
from collections.abc import Iterator

import pytest

from dataplane.hostlab import HostLab
from dataplane.proof.firewalls import Firewall
from dataplane.proof.world import World, prepared
from tortie.policy import ToHost

pytestmark = [pytest.mark.root, pytest.mark.vm]  # another, older kernel agrees as well

PROGRAMS = int(os.environ.get("TORTIE_PROGRAMS", "60"))
FIRST_SEED = int(os.environ.get("TORTIE_SEED", "0"))
PACKETS = 260  # a program; some are left out as answers to others
ENOUGH = 5000


@pytest.fixture(scope="module", params=list(Firewall))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    to_host = {Firewall.NFTABLES: ToHost.DROP, Firewall.LEGACY: ToHost.ACCEPT}
    with HostLab() as lab:
        made = World(prepared(lab), request.param, to_host.get(request.param, ToHost.RETURN))
        yield made
        made.close()


def test_packets_get_the_verdict_of_the_evaluator(world: World) -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + PROGRAMS):
        world.agree(seed, PACKETS)
    assert world.pairs >= min(ENOUGH, PROGRAMS * PACKETS // 2)
