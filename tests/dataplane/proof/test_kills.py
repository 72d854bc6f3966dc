"""Kill -9 at random points of programming under traffic: nothing denied passes, nothing allowed is
lost, and the end is what an agent would have made that never died.

TORTIE_DATAPLANE_KILLS: how many for each firewall; 200 is the whole proof (`make soak` does more).
"""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cni.node import until
from dataplane.proof.firewalls import Firewall
from dataplane.proof.nodes import Siege, node_of, siege

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("TORTIE_DATAPLANE_KILLS", "0"))
USUAL = {Firewall.NFTABLES: 15, Firewall.LEGACY: 5, Firewall.NFT: 5}


@pytest.mark.parametrize("firewall", Firewall)
def test_killed_at_any_moment(tmp_path: Path, firewall: Firewall) -> None:
    kills = KILLS or USUAL[firewall]
    with siege(node_of(tmp_path, firewall), firewall, kills) as under:
        kill(under, kills, random.Random(kills))
        under.ends_well()


def kill(under: Siege, times: int, chance: random.Random) -> None:
    """Half of them in the midst of changes, half in the midst of a start."""
    for _ in range(times):
        if chance.random() < 0.5:
            until(under.node.is_ready, "readiness")
            time.sleep(chance.random() * 0.2)  # when it dies is chance; no outcome hangs on it
        else:
            time.sleep(0.2 + chance.random())
        children = _children(under.node.agent.pid) if chance.random() < 0.5 else []
        under.node.kill(signal.SIGKILL)
        for one in children:  # a restore in the midst of its work
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        under.node.start()


def _children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(one) for file in found for one in file.read_text().split()]
