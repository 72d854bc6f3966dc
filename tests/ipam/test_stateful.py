"""Address management against a model: who holds what, whatever is asked in whatever order."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from strategies.ipam import blocks_in, check_consistent, configuration, pool
from tortie.api import IPAMConfiguration, IPReservation, IPReservationSpec, Key, ObjectMeta
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import (
    IPAM,
    AlreadyAssigned,
    Assignment,
    AssignRequest,
    Exhausted,
    FixedRequest,
    NoPool,
    ReleaseRequest,
    ReturnRequest,
)
from tortie.ipam.block import cooling, held_by
from tortie.ipam.errors import HandleTaken
from tortie.net import Prefix, parse_network

T = TypeVar("T")
NETS = {"a": parse_network("10.0.0.0/29"), "b": parse_network("10.0.1.0/29")}
ADDRESSES = [Prefix.single(4, net.address + place) for net in NETS.values() for place in range(8)]
NODES, HANDLES = st.sampled_from(["n1", "n2", "n3"]), st.sampled_from(["h1", "h2", "h3", "h4"])
ANY = st.sampled_from(ADDRESSES)
PODS = st.sampled_from(["", "web", "db"])  # whom a handle is used for; "": nobody says
COOLING = 600  # seconds


class Held(RuleBasedStateMachine):
    """`held` is the model: which handle has an address; `noted` is the pod that is noted beside."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryDatastore()
        self.time = datetime(2024, 1, 1, tzinfo=UTC)
        self.ipam = IPAM(self.store, lambda: self.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.held: dict[Prefix, str] = {}
        self.noted: dict[Prefix, str] = {}
        self.off: set[str] = set()
        self.reserved: set[Prefix] = set()
        self.earlier: list[ReleaseRequest] = []
        self.over: list[ReleaseRequest] = []
        self.strict = False

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @initialize(strict=st.booleans(), seconds=st.sampled_from([0, COOLING]))
    def begin(self, strict: bool, seconds: int) -> None:
        self.strict = strict
        self.run(
            self.store.create(
                configuration(strict_affinity=strict, ip_cooldown_seconds=seconds or None)
            )
        )
        for name, net in NETS.items():
            self.run(self.store.create(pool(name, str(net), block_size=31)))

    @rule(node=NODES, handle=HANDLES, count=st.integers(1, 4))
    def assign(self, node: str, handle: str, count: int) -> None:
        request = AssignRequest(node=node, handle=handle, count4=count)
        try:
            given = self.run(self.ipam.auto_assign(request)).ips
        except NoPool:
            assert self.off == set(NETS)
            return
        except Exhausted:
            assert self.strict or len(self.free()) < count
            return
        assert len(set(given)) == count
        assert set(given) <= self.free()
        self.held |= dict.fromkeys(given, handle)

    @rule(node=NODES, handle=HANDLES, address=ANY)
    def fixed(self, node: str, handle: str, address: Prefix) -> None:
        request = FixedRequest(address=address, node=node, handle=handle)
        try:
            self.run(self.ipam.assign_fixed(request))
        except NoPool:
            assert self.pool_of(address) in self.off
        except AlreadyAssigned:
            assert self.held[address] != handle
        except Exhausted:
            assert self.strict
        else:
            assert self.held.get(address, handle) == handle
            self.held[address] = handle

    @rule(handle=HANDLES)
    def release_handle(self, handle: str) -> None:
        before = self.remember()
        own = {address for address, who in self.held.items() if who == handle}
        assert set(self.run(self.ipam.release_by_handle(handle))) == own
        self.over += [one for one in before if one.address in own]
        for address in own:
            self.forget(address)

    @rule(
        node=NODES,
        handles=st.lists(HANDLES, min_size=1, unique=True),
        count=st.integers(1, 2),
        pod=PODS,
    )
    def lease(self, node: str, handles: list[str], count: int, pod: str) -> None:
        about = about_pod(pod)
        requests = [
            AssignRequest(node=node, handle=one, count4=count, attributes=about) for one in handles
        ]
        for handle, answer in zip(handles, self.run(self.ipam.lease(requests)), strict=True):
            if own := self.of(handle, pod):
                assert isinstance(answer, Assignment)
                assert set(answer.ips) == own
            elif self.of(handle):
                assert isinstance(answer, HandleTaken)
            elif isinstance(answer, Assignment):
                assert len(set(answer.ips)) == count
                assert not set(answer.ips) & set(self.held)
                self.held |= dict.fromkeys(answer.ips, handle)
                self.noted |= dict.fromkeys(answer.ips, pod)
            elif isinstance(answer, NoPool):
                assert self.off == set(NETS)
            else:
                assert isinstance(answer, Exhausted)
                assert self.strict or len(self.free()) < count * len(handles)

    @rule(handles=st.lists(HANDLES, min_size=1, unique=True), pod=PODS)
    def release_handles(self, handles: list[str], pod: str) -> None:
        before = self.remember()
        requests = [ReturnRequest(handle=one, by=about_pod(pod)) for one in handles]
        freed = self.run(self.ipam.release_by_handles(requests))
        for handle, found in zip(handles, freed, strict=True):
            own = self.of(handle, pod)
            assert isinstance(found, tuple)
            assert set(found) == own
            self.over += [one for one in before if one.address in own]
            for address in own:
                self.forget(address)

    @rule(address=ANY, handle=HANDLES | st.none())
    def release(self, address: Prefix, handle: str | None) -> None:
        before = self.remember()
        freed = self.run(self.ipam.release([ReleaseRequest(address=address, handle=handle)]))
        right = address in self.held and handle in (None, self.held[address])
        assert freed == ((address,) if right else ())
        if right:
            self.over += [one for one in before if one.address == address]
            self.forget(address)

    @rule(place=st.integers(0, 50))
    def release_too_late(self, place: int) -> None:
        """What was held earlier, by the sequence number that it had then."""
        if not self.earlier:
            return
        stale = self.earlier[place % len(self.earlier)]
        still = stale in self.now()[1]
        assert still == (stale not in self.over)
        assert self.run(self.ipam.release([stale])) == ((stale.address,) if still else ())
        if still:
            self.over.append(stale)
            self.forget(stale.address)

    @rule(node=NODES)
    def leave(self, node: str) -> None:
        self.run(self.ipam.release_node(node))

    @rule(name=st.sampled_from(sorted(NETS)))
    def switch(self, name: str) -> None:
        self.off ^= {name}
        found = self.run(self.store.get(Key("IPPool", "", name)))
        spec = replace(found.spec, disabled=name in self.off)  # type: ignore[attr-defined]
        self.run(self.store.update(replace(found, spec=spec)))

    @rule(address=ANY)
    def reserve(self, address: Prefix) -> None:
        self.reserved ^= {address}
        key = Key("IPReservation", "", "r")
        spec = IPReservationSpec(reserved_cidrs=tuple(map(str, sorted(self.reserved))))
        body = IPReservation(metadata=ObjectMeta(name="r"), spec=spec)
        if self.run(self.store.list("IPReservation")).resources:
            self.run(self.store.delete(key))
        self.run(self.store.create(body))

    @rule(seconds=st.sampled_from([1, 61, COOLING]))
    def wait(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)
        self.run(self.ipam.release_cooled())

    @rule(strict=st.booleans())
    def configure(self, strict: bool) -> None:
        self.strict = self.strict or strict  # blocks of a strict time stay strict
        found = self.run(self.store.get(Key("IPAMConfiguration", "", "default")))
        assert isinstance(found, IPAMConfiguration)
        spec = replace(found.spec, strict_affinity=strict)
        self.run(self.store.update(replace(found, spec=spec)))

    @invariant()
    def blocks_say_what_the_model_says(self) -> None:
        assert self.now()[0] == self.held
        self.run(check_consistent(self.store))

    @invariant()
    def handles_find_all_of_theirs(self) -> None:
        for handle in set(self.held.values()):
            own = {address for address, who in self.held.items() if who == handle}
            assert set(self.run(self.ipam.addresses_of(handle))) == own

    def forget(self, address: Prefix) -> None:
        del self.held[address]
        self.noted.pop(address, None)

    def of(self, handle: str, pod: str = "") -> set[Prefix]:
        """What a handle has, but for what is noted as another pod's."""
        own = {address for address, who in self.held.items() if who == handle}
        return {one for one in own if not pod or self.noted.get(one, "") in ("", pod)}

    def now(self) -> tuple[dict[Prefix, str], list[ReleaseRequest]]:
        """What blocks say: who holds what, and since which sequence number."""
        held: dict[Prefix, str] = {}
        requests = []
        for block in self.run(blocks_in(self.store)):
            first = parse_network(block.spec.cidr).address
            for handle in {one.handle_id or "" for one in block.spec.attributes} - {""}:
                for address in held_by(block.spec, handle):
                    held[address] = handle
                    ordinal = str(address.address - first)
                    since = block.spec.sequence_number_for_allocation[ordinal]
                    requests.append(ReleaseRequest(address=address, handle=handle, sequence=since))
        return held, requests

    def remember(self) -> list[ReleaseRequest]:
        """What is held now; later it may be over, and is then never the same again."""
        found = self.now()[1]
        self.earlier = (self.earlier + found)[-30:]
        return found

    def free(self) -> set[Prefix]:
        """What may be given unasked."""
        resting = {
            Prefix.single(4, parse_network(block.spec.cidr).address + ordinal)
            for block in self.run(blocks_in(self.store))
            for ordinal, since in cooling(block.spec).items()
            if datetime.fromisoformat(since) + timedelta(seconds=COOLING) > self.time
        }
        used = {*self.held, *resting, *self.reserved}
        return {one for one in ADDRESSES if one not in used and self.pool_of(one) not in self.off}

    @staticmethod
    def pool_of(address: Prefix) -> str:
        return next(name for name, net in NETS.items() if net.contains(address))


def about_pod(pod: str) -> dict[str, str]:
    return {"namespace": "shop", "pod": pod} if pod else {}


TestHeld = Held.TestCase
TestHeld.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
