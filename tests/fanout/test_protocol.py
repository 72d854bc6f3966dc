"""Frames and messages: whatever the pieces in which bytes come, and whatever the bytes are."""

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.fanout.frames import Frame, FrameReader, FrameType, ProtocolError, frame
from tortie.fanout.messages import (
    FROM_CLIENT,
    FROM_SERVER,
    UNPACKED,
    Complete,
    Goodbye,
    Hello,
    Picture,
    Ping,
    Progress,
    Record,
    Refused,
    Status,
    Welcome,
    batch,
    encode_record,
    written,
)
from tortie.fanout.protocol import ClientSide, Pong, Records, ServerSide, common_version

frames = st.builds(Frame, st.sampled_from(FrameType), st.binary(max_size=300))
texts = st.text(max_size=20)
records = st.builds(Record, texts, texts, texts, texts, st.none() | st.binary(max_size=200))
numbers = st.integers(0, 1 << 62)


def pieces(data, cuts):
    """The bytes, cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def batch_of(some):
    return batch([encode_record(record) for record in some], len(some))


def refused(side, data, *also):
    with pytest.raises(ProtocolError) as caught:
        side.feed(data)
    assert "\n" not in str(caught.value)
    for text in also:
        assert text in str(caught.value)


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 3000), max_size=30))
def test_frames_come_out_as_they_went_in_wherever_the_bytes_are_cut(sent, cuts):
    reader = FrameReader(300)
    data = b"".join(frame(*one) for one in sent)
    assert [one for piece in pieces(data, cuts) for one in reader.feed(piece)] == sent
    assert reader.held == 0


@given(st.integers(301, (1 << 32) - 1), st.sampled_from(FrameType))
def test_a_frame_that_announces_too_much_is_refused_before_its_body(length, type_):
    reader = FrameReader(300)
    with pytest.raises(ProtocolError, match="300 are the most"):
        reader.feed(length.to_bytes(4, "big") + bytes([type_]))
    assert reader.held < 10


@given(st.binary(max_size=500), st.lists(st.integers(0, 500), max_size=5))
def test_garbage_is_refused_or_waited_for_and_nothing_else(data, cuts):
    for side in (ServerSide(), ClientSide()):
        try:
            for piece in pieces(data, cuts):
                side.feed(piece)
        except ProtocolError:
            pass


@given(
    st.lists(records, max_size=20),
    st.lists(st.lists(records, max_size=5), max_size=3),
    numbers,
    st.lists(st.integers(0, 5000), max_size=20),
)
def test_what_the_server_says_is_what_the_client_hears(picture, changes, revision, cuts):
    data = written(FrameType.WELCOME, Welcome(1, "x"))
    data += written(FrameType.PICTURE, Picture("store")) + batch_of(picture)
    data += written(FrameType.COMPLETE, Complete(revision))
    data += written(FrameType.STATUS, Status("away", 2.5))
    for change in changes:
        data += batch_of(change) + written(FrameType.PROGRESS, Progress(revision + 1))
    data += written(FrameType.PING, Ping(7)) + written(FrameType.GOODBYE, Goodbye("full"))
    client = ClientSide()
    heard = [event for piece in pieces(data, cuts) for event in client.feed(piece)]
    assert heard == [
        Welcome(1, "x"),
        Picture("store"),
        Records(picture),
        Complete(revision),
        Status("away", 2.5),
        *(e for change in changes for e in (Records(change), Progress(revision + 1))),
        Ping(7),
        Goodbye("full"),
    ]


def test_what_the_client_says_is_what_the_server_hears():
    hello = Hello(versions=(1, 2), stream="felix", node="n", program="p", reached=9)
    data = written(FrameType.HELLO, hello) + written(FrameType.PONG, Ping(3))
    assert ServerSide().feed(data) == [hello, Pong(3)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (written(FrameType.PONG, Ping(1)), "PONG out of turn"),
        (written(FrameType.WELCOME, Welcome(1)), "WELCOME out of turn"),
        (written(FrameType.HELLO, Hello(versions=(1,), stream="felix")) * 2, "HELLO out of turn"),
        (frame(FrameType.HELLO, b"{"), "no Hello"),
        (frame(FrameType.HELLO, b'{"versions":"1","stream":"felix"}'), "no Hello"),
        (frame(FrameType.HELLO, b'{"versions":[1],"stream":"' + b"x" * 2000 + b'"}'), "no Hello"),
        (frame(FrameType.HELLO, b"\xff" * 10), "no Hello"),
        (frame(FrameType.HELLO, b"[" * 10_000), "no Hello"),
        (b"\x00\x00\x00\x00\x63", "type 99"),
        (b"\xff\xff\xff\xff\x01", str(FROM_CLIENT)),
        (b"GET / HTTP/1.1\r\n\r\n", "no frame has type"),
    ],
)
def test_a_client_that_speaks_out_of_turn_or_nonsense_is_refused(data, says):
    refused(ServerSide(), data, says)


def welcome():
    return written(FrameType.WELCOME, Welcome(1))


def picture():
    return welcome() + written(FrameType.PICTURE, Picture("store"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (written(FrameType.PICTURE, Picture("store")), "PICTURE after the start"),
        (welcome() + batch_of([]), "RECORDS after WELCOME"),
        (welcome() + written(FrameType.PROGRESS, Progress(1)), "PROGRESS after WELCOME"),
        (picture() + written(FrameType.PROGRESS, Progress(1)), "PROGRESS after PICTURE"),
        (picture() + written(FrameType.PICTURE, Picture("store")), "PICTURE after PICTURE"),
        (welcome() * 2, "WELCOME after WELCOME"),
        (written(FrameType.REFUSED, Refused("no")) + welcome(), "WELCOME after REFUSED"),
        (picture() + frame(FrameType.RECORDS, b"\xdd"), "no records"),
        (picture() + frame(FrameType.PACKED, b"not zlib"), "no records"),
        (picture() + frame(FrameType.PACKED, zlib.compress(b"\xc0" * 100)), "no records"),
        (picture() + frame(FrameType.PACKED, zlib.compress(b"\x90")[:-3]), "cut off"),
        (b"\xff\xff\xff\xff\x05", str(FROM_SERVER)),
    ],
)
def test_a_server_that_speaks_out_of_turn_or_nonsense_is_refused(data, says):
    refused(ClientSide(), data, says)


def test_a_batch_that_unpacks_to_more_than_the_most_is_refused():
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range((UNPACKED >> 20) + 1))
    refused(ClientSide(), picture() + frame(FrameType.PACKED, packed + bomb.flush()), "more than")


def test_the_newest_common_version_is_spoken_and_none_is_an_answer_too():
    assert common_version((1, 2, 77)) == 1
    assert common_version((2, 3)) is None
    assert common_version(()) is None


def test_fields_of_newer_versions_are_passed_over():
    body = b'{"versions":[1,9],"stream":"felix","zone":{"a":1}}'
    assert ServerSide().feed(frame(FrameType.HELLO, body)) == [
        Hello(versions=(1, 9), stream="felix")
    ]
