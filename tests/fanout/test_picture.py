"""The server's picture: what every client should hold, and what changed."""

from hypothesis import given
from hypothesis import strategies as st

from fanout.serving import nets
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import batch, read_batch
from tortie.fanout.picture import Picture
from tortie.fanout.snapshots import CHUNK, chunks
from tortie.fanout.trail import Trail
from tortie.sync import InSync, Progress, Update

names = st.sampled_from("abc")
updates = st.tuples(names, st.none() | st.sampled_from(["10.0.0.0/8", "10.1.0.0/16"]))


def update(name, value):
    return Update(nets(name).key, value and nets(name, value))


def as_values(records):
    body = batch(records, len(records))
    type_ = FrameType(body[4])
    return {one.name: one.value for one in read_batch(type_, body[5:])}


@given(st.lists(st.lists(updates, max_size=5), max_size=6))
def test_changes_folded_over_what_clients_have_are_the_picture(batches):
    picture, held = Picture(), {}
    picture.take([InSync()])
    for some in batches:
        picture.take([update(*one) for one in some])
        for name, value in as_values(picture.take_changed()).items():
            if value is None:
                held.pop(name, None)
            else:
                held[name] = value
        assert held == as_values(picture.records)
        assert len(picture) == len(held)
        assert picture.take_changed() == []


def test_what_does_not_change_is_skipped_and_what_never_was_is_not_deleted():
    picture = Picture()
    picture.take([InSync(), update("a", "10.0.0.0/8"), Progress(4)])
    assert len(picture.take_changed()) == 1
    picture.take([update("a", "10.0.0.0/8"), update("b", None), Progress(3)])
    assert picture.take_changed() == []
    assert (picture.updates, picture.skipped, picture.revision) == (3, 2, 4)


def test_the_first_picture_is_no_change():
    picture = Picture()
    picture.take([update("a", "10.0.0.0/8")])
    picture.take([InSync(), Progress(1)])
    assert picture.take_changed() == []
    assert len(picture.records) == 1


@given(st.lists(st.integers(1, 2 * CHUNK).map(bytes), max_size=8))
def test_chunks_are_bounded_and_lose_nothing(records):
    found = list(chunks(records))
    assert [one for chunk in found for one in chunk] == records
    assert all(chunk for chunk in found)
    assert all(len(chunk) == 1 or sum(map(len, chunk)) <= CHUNK for chunk in found)


def test_a_trail_knows_how_far_behind_each_place_is():
    trail = Trail(0.0)
    start = trail.head
    for number in range(3):
        trail.put(b"x" * 10, float(number))
    assert (trail.behind(start), trail.behind(trail.head)) == (30, 0)
    assert [start.next.number, trail.head.number] == [1, 3]
