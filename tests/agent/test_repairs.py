"""Looks after others' changes: the first at once, a quarrel at a bounded pace, told as one."""

import pytest

from tortie.agent.repairs import CONTESTED, Repairs


class World:
    """A clock, what is scheduled on it, and who was asked to look."""

    def __init__(self):
        self.now = 0.0
        self.due = []
        self.looks = []
        self.repairs = Repairs(self.looks.append, self._schedule, lambda: self.now)

    def _schedule(self, seconds, work):
        self.due.append((self.now + seconds, work))

    def run_until(self, now):
        while self.due and min(self.due)[0] <= now:
            moment, work = min(self.due, key=lambda one: one[0])
            self.due.remove((moment, work))
            self.now = moment
            work()
        self.now = now


@pytest.fixture
def world():
    return World()


def test_the_first_change_is_looked_at_at_once(world):
    world.repairs.changed("nftables", "nft (process 7)")
    assert world.looks == ["nftables"]
    (told,) = world.repairs.looked({"nftables": 3})
    assert told == ("nftables", 3, "nft (process 7)", False)


def test_changes_before_the_look_are_one_look(world):
    for _ in range(100):
        world.repairs.changed("nftables", "x")
    assert world.looks == ["nftables"]
    assert world.repairs.contests()[0].changes == 100


def test_what_changes_while_a_look_is_under_way_is_looked_at_again(world):
    world.repairs.changed("nftables", "x")
    world.repairs.changed("nftables", "x")  # the turn may have read the tables by now
    world.repairs.looked({"nftables": 1})
    world.run_until(1.0)
    assert world.looks == ["nftables", "nftables"]
    world.repairs.looked({"nftables": 0})
    world.run_until(9.0)
    assert len(world.looks) == 2


def test_a_look_that_finds_all_well_is_told_to_nobody(world):
    world.repairs.changed("routes", "ip")
    assert world.repairs.looked({"routes": 0}) == []
    assert world.repairs.contests()[0].repairs == 0


def test_a_quarrel_costs_a_bounded_number_of_looks_and_is_repaired_within_a_second(world):
    told = []
    for step in range(6000):  # somebody undoes it each 10 ms, for a minute
        world.run_until(step * 0.01)
        world.repairs.changed("nftables", "other")
        if len(world.looks) > len(told):
            told += world.repairs.looked({"nftables": 1})
    assert 60 < len(told) < 120
    assert [one.is_contested for one in told].index(True) == CONTESTED - 1
    assert all(one.is_contested for one in told[CONTESTED:])
    assert world.repairs.contests()[0].contested


def test_after_a_quiet_time_the_next_change_is_looked_at_at_once_again(world):
    for step in range(300):
        world.run_until(step * 0.1)
        world.repairs.changed("nftables", "other")
        if world.looks:
            world.repairs.looked({"nftables": 1})
    world.run_until(100.0)
    assert not world.repairs.contests()[0].contested
    world.looks.clear()
    world.repairs.looked({"nftables": 0})
    world.run_until(101.0)
    world.repairs.changed("nftables", "other")
    assert world.looks == ["nftables"]


def test_one_drivers_quarrel_delays_no_other_driver(world):
    for _ in range(20):
        world.repairs.changed("nftables", "other")
        world.repairs.looked({"nftables": 1})
    world.looks.clear()
    world.repairs.changed("routes", "ip")
    assert world.looks == ["routes"]
