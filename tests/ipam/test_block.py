"""The algebra of one block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.ipam import check_block
from tortie.api import IPAMBlock, ObjectMeta, decode, encode
from tortie.ipam import ReleaseRequest
from tortie.ipam.block import (
    empty_block,
    held_by,
    holder,
    holder_of,
    is_empty,
    release,
    release_handle,
    take,
    take_address,
)
from tortie.net import Prefix, parse_network

CIDR = parse_network("10.0.0.0/29")
FRESH = empty_block(CIDR, "host:a", False, "2024-01-01T00:00:00Z")
A, B = holder("a", {"pod": "x"}), holder("b", {})


def address(ordinal: int) -> Prefix:
    return Prefix.single(4, CIDR.address + ordinal)


def block_of(spec: object) -> IPAMBlock:
    return IPAMBlock(metadata=ObjectMeta(name="10-0-0-0-29"), spec=spec)  # type: ignore[arg-type]


def test_addresses_come_in_order_and_what_was_released_comes_last() -> None:
    first = take(FRESH, 2, A)
    assert first.addresses == (address(0), address(1))
    second = release(first.block, [ReleaseRequest(address=address(0))])
    assert second.addresses == (address(0),)
    assert take(second.block, 7, B).addresses == tuple(map(address, [2, 3, 4, 5, 6, 7, 0]))


def test_a_block_gives_no_more_than_it_has() -> None:
    assert len(take(FRESH, 100, A).addresses) == 8
    assert take(take(FRESH, 8, A).block, 1, B).addresses == ()


def test_a_held_address_cannot_be_taken() -> None:
    taken = take_address(FRESH, address(5), A)
    assert holder_of(taken, address(5)) == A
    with pytest.raises(ValueError, match=r"10\.0\.0\.5/32 is held"):
        take_address(taken, address(5), B)
    with pytest.raises(ValueError, match="not in the block"):
        take_address(FRESH, Prefix.single(4, CIDR.address + 8), B)


def test_releasing_twice_is_as_once() -> None:
    taken = take(FRESH, 1, A).block
    once = release(taken, [ReleaseRequest(address=address(0))]).block
    assert release(once, [ReleaseRequest(address=address(0))]).addresses == ()
    assert is_empty(once)


@pytest.mark.parametrize(
    ("request_", "applies"),
    [
        (ReleaseRequest(address=address(0), handle="a"), True),
        (ReleaseRequest(address=address(0), handle="b"), False),
        (ReleaseRequest(address=address(0), sequence=FRESH.sequence_number + 2), True),
        (ReleaseRequest(address=address(0), sequence=FRESH.sequence_number), False),
    ],
)
def test_a_stale_release_takes_nothing_away(request_: ReleaseRequest, applies: bool) -> None:
    first = take_address(FRESH, address(0), A)
    second = release(first, [ReleaseRequest(address=address(0))]).block
    third = take_address(second, address(0), A)
    assert third.sequence_number_for_allocation == {"0": FRESH.sequence_number + 2}
    assert bool(release(third, [request_]).addresses) == applies


def test_a_handle_releases_all_of_its_own_and_nothing_else() -> None:
    both = take(take(take(FRESH, 2, A).block, 2, B).block, 1, A).block
    assert held_by(both, "a") == (address(0), address(1), address(4))
    freed = release_handle(both, "a")
    assert freed.addresses == (address(0), address(1), address(4))
    assert held_by(freed.block, "b") == (address(2), address(3))
    assert freed.block.attributes == (B,)


def test_blocks_have_the_known_layout() -> None:
    block = block_of(take(FRESH, 1, A).block)
    text = encode(block)
    assert b'"allocations":[0,null,null' in text
    assert b'"attributes":[{"handle_id":"a","secondary":{"pod":"x"}}]' in text
    since = FRESH.sequence_number
    assert f'"sequenceNumber":{since + 1}'.encode() in text
    assert f'"sequenceNumberForAllocation":{{"0":{since}}}'.encode() in text
    assert decode("IPAMBlock", text) == block


steps = st.lists(
    st.tuples(st.sampled_from("taf"), st.integers(0, 7), st.sampled_from([A, B])), max_size=40
)


@given(steps)
def test_no_sequence_of_changes_loses_or_doubles_an_address(
    script: list[tuple[str, int, object]],
) -> None:
    spec = FRESH
    for what, number, by in script:
        before = spec
        if what == "t":
            spec = take(spec, number, by).block  # type: ignore[arg-type]
        elif what == "f":
            spec = release(spec, [ReleaseRequest(address=address(number))]).block
        elif holder_of(spec, address(number)) is None:
            spec = take_address(spec, address(number), by)  # type: ignore[arg-type]
        assert spec.sequence_number >= before.sequence_number
        check_block(block_of(spec))
