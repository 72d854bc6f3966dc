"""The agent between a scripted stream and a recording dataplane."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from agent.doubles import (
    EchoEngine,
    RecordingDataplane,
    ScriptedSource,
    endpoint_id,
    failed,
    settings,
    update,
)
from tortie.agent.agent import Agent
from tortie.agent.allegiance import OtherDatastore
from tortie.agent.freshness import Clocks
from tortie.agent.pipeline import Pipeline
from tortie.agent.waiters import NotReady
from tortie.sync import InSync, Outage, Progress

BOUND = 50.0


class SetClocks:
    """What a test says that it is: `seconds` since boot, which was at the begin of 2026."""

    seconds = 0.0
    jump = 0.0

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds + self.jump)


class Bench:
    """An agent that runs, and what surrounds it."""

    def __init__(self, refreshes=None, **config):
        self.source = ScriptedSource()
        self.engine = EchoEngine()
        self.dataplane = RecordingDataplane()
        self.clocks = SetClocks()
        self.absent = []
        self.agent = Agent(
            settings(**config),
            self.source,
            Pipeline(self.engine, self.dataplane),
            absent_policies=lambda: self.absent,
            clocks=Clocks(lambda: self.clocks.seconds, self.clocks.now),
            refreshes=lambda _: refreshes or {},
        )

    def calls(self, *names):
        return [entry[1:] for entry in self.dataplane.journal if not names or entry[1] in names]

    async def until(self, condition):
        async with asyncio.timeout(BOUND):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(**config):
    bench = Bench(**config)
    task = asyncio.create_task(bench.agent.run())
    try:
        yield bench
    finally:
        bench.dataplane.gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def scenario(test):
    """Run an async test."""

    def run():
        asyncio.run(asyncio.wait_for(test(), 60))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@scenario
async def test_nothing_is_written_before_the_picture_is_complete():
    async with running() as bench:
        bench.source.put(update("a"), update("b"))
        await bench.until(lambda: bench.engine.batches)
        bench.source.put(update("c"))
        await bench.until(lambda: len(bench.engine.batches) == 2)
        assert not bench.calls("apply", "resync")
        assert bench.calls()[0] == ("guard",)
        assert not bench.agent.health.is_ready
        bench.source.sync(7)
        await bench.agent.wait_applied(7, BOUND)
        assert bench.calls("apply", "resync") == [("resync", ["a", "b", "c"])]
        assert bench.agent.health.is_ready


@scenario
async def test_what_could_not_be_shut_at_the_start_is_tried_again_without_a_datastore():
    async with running() as bench:
        bench.dataplane.fail_with = [failed("everything")]
        await bench.until(lambda: len(bench.calls("guard")) >= 2)
        bench.dataplane.fail_with = None
        tried = len(bench.calls("guard"))
        await bench.until(lambda: len(bench.calls("guard")) > tried)
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        assert [call[0] for call in bench.calls()] == ["guard"] * (tried + 1) + ["fold", "resync"]


@scenario
async def test_later_changes_are_applied_and_not_read_back():
    async with running() as bench:
        bench.source.sync(1)
        bench.source.put(update("a"), Progress(2))
        await bench.agent.wait_applied(2, BOUND)
        bench.source.put(update("a", None), Progress(3))
        await bench.agent.wait_applied(3, BOUND)
        written = [call for call in bench.calls() if call[0] in ("apply", "resync")]
        assert written[0][0] == "resync"
        assert written[-1] == ("apply", [], ["a"])


@scenario
async def test_updates_that_come_while_the_kernel_is_written_are_written_together():
    async with running() as bench:
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        bench.dataplane.gate.clear()
        bench.dataplane.entered.clear()
        bench.source.put(update("a"), Progress(2))
        await bench.until(bench.dataplane.entered.is_set)
        for number in range(3, 13):
            bench.source.put(update(f"n{number}"), update("a", None), update("a"), Progress(number))
        await bench.until(lambda: bench.source.queue.empty())
        bench.dataplane.gate.set()
        await bench.agent.wait_applied(12, BOUND)
        applied = bench.calls("apply")
        assert applied[0] == ("apply", ["a"], [])
        assert len(applied) == 2
        assert applied[1][1] == sorted(["a", *(f"n{n}" for n in range(3, 13))])


@scenario
async def test_a_failure_is_named_retried_and_forgotten_once_repaired():
    async with running() as bench:
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        bench.dataplane.fail_with = [failed("GlobalNetworkPolicy(bad)", message="too long")]
        bench.source.put(update("a"), Progress(2))
        await bench.agent.wait_applied(2, BOUND)
        assert bench.agent.health.not_ready() == [
            "dataplane: policy: GlobalNetworkPolicy(bad): too long"
        ]
        assert b"felix_int_dataplane_failures 1.0" in bench.agent.metrics.page().body
        assert bench.agent.health.liveness().status == 200
        await bench.until(lambda: len(bench.calls("retry")) >= 2)
        bench.source.put(update("b"), Progress(3))
        await bench.agent.wait_applied(3, BOUND)
        bench.dataplane.fail_with = None
        await bench.until(lambda: bench.agent.health.is_ready)
        assert bench.agent.failures == ()
        assert b"felix_int_dataplane_failures 1.0" in bench.agent.metrics.page().body


@scenario
async def test_ready_is_said_only_once_the_endpoint_is_in_the_kernel():
    async with running() as bench:
        with pytest.raises(NotReady, match="not seen the whole datastore"):
            await bench.agent.wait_ready(endpoint_id("a"), 0, 0.2)
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        with pytest.raises(NotReady, match="knows no such endpoint"):
            await bench.agent.wait_ready(endpoint_id("a"), 0, 0.2)
        bench.dataplane.unready[endpoint_id("a")] = "its route is not programmed"
        bench.source.put(update("a"), Progress(2))
        await bench.agent.wait_applied(2, BOUND)
        with pytest.raises(
            NotReady, match=r"default/a was not ready after 0\.2 s: its route is not"
        ):
            await bench.agent.wait_ready(endpoint_id("a"), 0, 0.2)
        waiting = asyncio.create_task(bench.agent.wait_ready(endpoint_id("a"), 0, BOUND))
        await asyncio.sleep(0)
        bench.dataplane.unready.clear()
        bench.agent.link_changed("calia", "up")
        await waiting
        assert ("link", "calia", "up") in bench.calls()


@scenario
async def test_ready_of_an_older_revision_does_not_count():
    async with running() as bench:
        bench.source.put(update("a"), InSync(), Progress(1))
        await bench.agent.wait_ready(endpoint_id("a"), 1, BOUND)
        with pytest.raises(NotReady, match="at revision 1 of the datastore, not at 2"):
            await bench.agent.wait_ready(endpoint_id("a"), 2, 0.2)
        waiting = asyncio.create_task(bench.agent.wait_ready(endpoint_id("a"), 2, BOUND))
        bench.source.put(update("a"), Progress(2))
        await waiting


@scenario
async def test_who_begins_to_wait_while_its_revision_is_being_written_is_let_go():
    async with running() as bench:
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        bench.dataplane.gate.clear()
        bench.dataplane.entered.clear()
        bench.source.put(update("a"), Progress(2))
        await bench.until(bench.dataplane.entered.is_set)
        waiting = asyncio.create_task(bench.agent.wait_ready(endpoint_id("a"), 2, BOUND))
        await asyncio.sleep(0)
        bench.dataplane.gate.set()
        await waiting


@scenario
async def test_who_waits_when_the_agent_stops_is_told():
    async with running() as bench:
        waiting = asyncio.create_task(bench.agent.wait_ready(endpoint_id("a"), 0, BOUND))
        await bench.until(lambda: bench.agent.last_turn.waiting_for)
    with pytest.raises(NotReady, match="is stopping: try again"):
        await waiting


@scenario
async def test_thirty_waiters_are_let_go_by_one_turn():
    async with running() as bench:
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        names = [endpoint_id(f"p{number}") for number in range(30)]
        waits = [asyncio.create_task(bench.agent.wait_ready(name, 0, BOUND)) for name in names]
        bench.source.put(*(update(name.name) for name in names), Progress(2))
        await asyncio.gather(*waits)


@scenario
async def test_losing_the_datastore_keeps_what_is_programmed_and_stays_live():
    async with running() as bench:
        bench.source.put(update("a"), InSync(), Progress(1))
        await bench.agent.wait_applied(1, BOUND)
        before = bench.calls()
        bench.source.outage = Outage(900.0, "the database file is gone")
        bench.clocks.seconds = 960.0
        bench.agent.follow_datastore()
        assert bench.agent.health.liveness().status == 200
        answer = bench.agent.readiness()
        assert answer.status == 503
        assert answer.body.decode() == (
            "datastore: not followed since 2026-01-01T00:15:00Z (60 s), the policy of revision 1"
            " is in force: the database file is gone\n"
        )
        assert bench.calls() == before
        page = bench.agent.metrics.page().body
        assert b"felix_resync_state 1.0" in page
        assert b"felix_resyncs_started 1.0" in page
        assert b"tortie_datastore_stale_seconds 60.0" in page
        bench.source.outage = None
        bench.source.put(update("b"), Progress(2))
        await bench.agent.wait_applied(2, BOUND)
        assert bench.agent.readiness().status == 200
        page = bench.agent.metrics.page().body
        assert b"felix_resync_state 3.0" in page
        assert b"felix_resyncs_started 2.0" in page
        assert b"tortie_datastore_stale_seconds 0.0" in page


@scenario
async def test_a_datastore_that_is_away_at_the_start_is_waited_for_and_said():
    async with running() as bench:
        bench.clocks.seconds = 905.0
        bench.source.outage = Outage(900.0, "connection refused")
        bench.agent.follow_datastore()
        assert bench.agent.health.liveness().status == 200
        assert bench.agent.readiness().body.startswith(
            b"datastore: not followed since 2026-01-01T00:15:00Z (5 s), what an earlier agent"
            b" programmed is in force: connection refused\n"
        )
        bench.source.outage = None
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        assert bench.agent.readiness().body == b"ready\n"


@scenario
async def test_a_clock_that_is_set_changes_no_age():
    async with running() as bench:
        bench.source.outage = Outage(900.0, "gone")
        bench.clocks.seconds = 960.0
        bench.clocks.jump = -7_200.0
        found = bench.agent.freshness()
        assert found.stale_seconds == 60.0
        assert found.stale_since == "2025-12-31T22:15:00Z"


@scenario
async def test_a_policy_that_can_not_be_read_is_named_and_turns_nothing_red():
    async with running() as bench:
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        bench.absent.append("GlobalNetworkPolicy(deny) counts as absent")
        answer = bench.agent.readiness()
        assert answer.status == 200
        assert answer.body == b"ready\npolicy: GlobalNetworkPolicy(deny) counts as absent\n"
        assert bench.agent.health.is_ready


@scenario
async def test_an_agent_that_stops_ends_what_it_writes_to_the_kernel_first():
    """Who starts next must be the only one that writes."""
    bench = Bench()
    task = asyncio.create_task(bench.agent.run())
    bench.source.sync(1)
    await bench.agent.wait_applied(1, BOUND)
    bench.dataplane.gate.clear()
    bench.dataplane.entered.clear()
    bench.source.put(update("a"), Progress(2))
    await bench.until(bench.dataplane.entered.is_set)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done
    assert ("apply", ["a"], []) not in bench.calls()
    bench.dataplane.gate.set()
    await asyncio.wait([task], timeout=BOUND)
    assert task.cancelled()
    assert ("apply", ["a"], []) in bench.calls()


def test_another_datastore_ends_the_agent_with_that_reason_alone():
    async def test():
        bench = Bench()
        bench.source.put(OtherDatastore("not the one before"))
        await bench.agent.run()

    with pytest.raises(OtherDatastore, match="not the one before"):
        asyncio.run(asyncio.wait_for(test(), 60))


@scenario
async def test_a_warning_of_the_engine_stops_nothing_and_is_kept_for_status():
    async with running() as bench:
        bench.engine.complaints = ["NetworkPolicy(default/p): selector: no closing quote"]
        bench.source.put(update("a"), InSync(), Progress(1))
        await bench.agent.wait_applied(1, BOUND)
        assert list(bench.agent.warnings) == [
            "NetworkPolicy(default/p): selector: no closing quote"
        ]
        assert bench.agent.health.is_ready


def test_a_defect_in_a_turn_ends_the_agent_and_leaves_the_kernel_alone():
    async def test():
        bench = Bench()
        bench.source.sync(1)
        bench.source.put(update("a", ZeroDivisionError("defect")))
        await bench.agent.run()

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(asyncio.wait_for(test(), 60))
    assert caught.group_contains(ZeroDivisionError)


@scenario
async def test_a_turn_that_does_not_end_makes_the_agent_not_live():
    async with running(DataplaneWatchdogTimeout=0.2) as bench:
        bench.source.sync(1)
        await bench.agent.wait_applied(1, BOUND)
        bench.dataplane.gate.clear()
        bench.source.put(update("a"))
        await bench.until(lambda: bench.agent.health.liveness().status == 503)
        bench.dataplane.gate.set()
        await bench.until(lambda: bench.agent.health.liveness().status == 200)


@scenario
async def test_drift_is_looked_for_now_and_then():
    async with running(refreshes={"routes": 0.05, "nftables": 0.0}) as bench:
        bench.source.sync(1)
        await bench.until(lambda: len(bench.calls("repair")) >= 3)
        assert {call[1] for call in bench.calls("repair")} == {("routes",)}


@scenario
async def test_the_numbers_are_those_of_the_stream():
    async with running() as bench:
        bench.source.put(
            update("a"), update("b"), update("a"), update("x", kind="Node"), InSync(), Progress(1)
        )
        bench.source.put(update("b", None), Progress(2))
        await bench.agent.wait_applied(2, BOUND)
        body = bench.agent.metrics.page().body
        assert b"felix_cluster_num_workload_endpoints 1.0" in body
        assert b"felix_cluster_num_hosts 1.0" in body
        assert b"felix_resync_state 3.0" in body
        assert b"felix_int_dataplane_apply_time_seconds_count" in body
        assert b"felix_calc_graph_update_time_seconds_count" in body
