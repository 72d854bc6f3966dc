"""Whose connections are forgotten: by a model of who had each address."""

from hypothesis import given
from hypothesis import strategies as st

from tortie.dataplane.routes.holders import Holder, Holders
from tortie.net import Prefix, parse_network
from tortie.policy.program import EndpointId

ADDRESSES = [parse_network(f"10.65.0.{n}") for n in (1, 2)]
HOLDERS = [Holder(EndpointId("WorkloadEndpoint", "d", n), link) for n in "ab" for link in (1, 2)]
turns = st.lists(
    st.dictionaries(st.sampled_from(ADDRESSES), st.none() | st.sampled_from(HOLDERS)), max_size=8
)


@given(turns, st.sets(st.sampled_from(ADDRESSES)))
def test_no_holder_meets_connections_of_another(
    turns: list[dict[Prefix, Holder | None]], sealed: set[Prefix]
) -> None:
    """A connection belongs to who had the address when it began; outside of blocks anybody's."""
    holders, had = Holders(), dict[Prefix, Holder | None]()
    dirty = dict.fromkeys(ADDRESSES, True)  # it may have connections that are not its holder's
    for now in turns:
        partings = holders.settle(now, (), sealed)
        for address, holder in now.items():
            before = had.get(address)
            if address in partings.before | partings.after:
                dirty[address] = False
            elif before != holder and before is not None:
                dirty[address] = True
            if holder is not None:
                assert not dirty[address]
            if holder is None and address not in sealed:
                dirty[address] = True  # whoever sends to it now begins a connection
            if before == holder:
                assert address not in partings.before | partings.after or holder is None
            had[address] = holder


def test_what_an_earlier_process_programmed_is_adopted() -> None:
    (address, _), holder = ADDRESSES, HOLDERS[0]
    found = Holders().settle({address: holder}, {address}, ())
    assert found == (set(), set())


def test_one_that_left_a_block_of_ours_costs_nothing_when_the_next_comes() -> None:
    address, holders = ADDRESSES[0], Holders()
    holders.settle({address: HOLDERS[0]}, {address}, {address})
    assert holders.settle({address: None}, (), {address}) == (set(), {address})
    assert holders.settle({address: HOLDERS[2]}, (), {address}) == (set(), set())
    assert holders.settle({address: None}, (), ()) == (set(), {address})
    assert holders.settle({address: HOLDERS[2]}, (), {address}) == ({address}, set())


def test_an_address_that_changes_hands_is_asked_for_before_and_after_its_route() -> None:
    """In between, packets still go to who had it: what begins then is the former one's, too."""
    address, holders = ADDRESSES[0], Holders()
    holders.settle({address: HOLDERS[0]}, {address}, ())
    assert holders.settle({address: HOLDERS[2]}, (), ()) == ({address}, {address})
