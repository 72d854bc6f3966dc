"""When a client is dropped, and when it is let off."""

import math

import pytest
from msgspec import Struct

from tortie.fanout.connection import Stage
from tortie.fanout.patience import MOST_BEHIND, Patience, fault, let_off

PATIENCE = Patience(handshake=10, write=120, pong=60, behind=300, grace=400)


class Client(Struct):
    """What the rules look at; it is well at the time 1000."""

    stage: Stage = Stage.FOLLOWING
    opened_at: float = 0.0
    leaving_since: float | None = None
    owes_pong: bool = False
    pinged_at: float = 0.0
    stuck: bool = False
    moved_at: float = 0.0
    behind_bytes: int = 0
    behind_since: float = math.inf


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (Client(), ""),
        (Client(stage=Stage.HANDSHAKE, opened_at=991), ""),
        (Client(stage=Stage.HANDSHAKE, opened_at=989), "hello in time"),
        (Client(stage=Stage.GREETING, opened_at=989), "hello in time"),
        (Client(leaving_since=996), ""),
        (Client(leaving_since=994), "sent away"),
        (Client(owes_pong=True, pinged_at=941), ""),
        (Client(owes_pong=True, pinged_at=939), "answer a ping"),
        (Client(stuck=True, moved_at=881), ""),
        (Client(stuck=True, moved_at=879), "took nothing"),
        (Client(moved_at=0), ""),
        (Client(behind_since=701), ""),
        (Client(behind_since=699), "behind for too long"),
        (Client(behind_since=699, opened_at=601), "behind for too long"),
        (Client(behind_since=699, opened_at=601, stage=Stage.SNAPSHOT), ""),
        (Client(behind_since=699, opened_at=599, stage=Stage.SNAPSHOT), "behind for too long"),
        (Client(behind_bytes=MOST_BEHIND), ""),
        (Client(behind_bytes=MOST_BEHIND + 1), "too far behind"),
    ],
)
def test_each_bound_has_its_reason(client, says):
    reason = fault(client, PATIENCE, 1000.0)
    assert (says in reason) if says else reason == ""


def test_only_new_clients_that_still_get_their_picture_are_let_off():
    new = Client(behind_since=699, opened_at=601, stage=Stage.SNAPSHOT)
    assert let_off(new, PATIENCE, 1000.0)
    assert not let_off(Client(behind_since=701, stage=Stage.SNAPSHOT), PATIENCE, 1000.0)
    assert not let_off(Client(behind_since=699, opened_at=601), PATIENCE, 1000.0)
