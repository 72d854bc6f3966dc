"""Token buckets and redirections: what is built is what is read, and no bytes break a reader."""

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import netlink as some
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink import rttc, tcforeign
from tortie.linux.netlink.rtnetlink import NewLink
from tortie.linux.netlink.rttc import Bucket, FoundBucket, Qdisc
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.netlink.wire import MalformedMessage, build_message
from tortie.linux.shaping import Shaping, has_hooks

_RATES = st.integers(1, 2**46)
_FOUND = st.builds(FoundBucket, _RATES, some.u32, some.u32, _RATES, some.u32) | st.builds(
    FoundBucket, _RATES, some.u32, some.u32, st.just(0), st.just(0)
)


@given(st.builds(Qdisc, some.indexes, st.just("tbf"), some.u32, some.u32, _FOUND))
def test_buckets_are_read_as_they_were_built(qdisc: Qdisc) -> None:
    assert rttc.parse_qdisc(rttc.build_found(qdisc)) == qdisc


@given(st.binary(max_size=200), st.sampled_from([rttc.parse_qdisc, rttc.parse_filter]))
def test_no_bytes_break_a_reader(data: bytes, reader) -> None:
    with suppress(MalformedMessage):
        reader(data)


@given(some.indexes, st.integers(1, 0xFFFF), some.indexes, st.data())
def test_a_damaged_filter_is_read_or_malformed(
    link: int, priority: int, to: int, data: st.DataObject
) -> None:
    whole = bytearray(rttc.build_redirect(link, priority, to))
    assert rttc.parse_filter(bytes(whole)).redirect == to
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with suppress(MalformedMessage):
        rttc.parse_filter(bytes(whole))


@pytest.fixture(scope="module")
def shaping():
    name = f"tsq-codec-{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path):
            sock = NetlinkSocket()
        with sock:
            links = Links(sock)
            links.create(NewLink("one", "ifb", up=True))
            links.create(NewLink("other", "ifb", up=True))
            yield Shaping(sock), links.get("one").index, links.get("other").index
    finally:
        delete_named(name)


@pytest.mark.root
@pytest.mark.parametrize(
    "bucket",
    [
        Bucket(1, 1514, 4096),
        Bucket(125, 2000, 65536),
        Bucket(1_250_000, 2**32 - 1, 100_000),
        Bucket(2**32 - 1, 10_000_000, 2**32 - 1),
        Bucket(2**32, 10_000_000, 65536),
        Bucket(125_000_000_000_000, 2**32 - 1, 65536),
        Bucket(1_250_000, 100_000, 65536, 2_500_000, 3000),
        Bucket(2**33, 100_000, 65536, 2**34, 2000),
    ],
)
def test_the_kernel_tells_of_a_bucket_as_it_is_expected_to(shaping, bucket: Bucket) -> None:
    """Else a resync would write each bucket anew, and every time fill it."""
    kernel, one, _ = shaping
    kernel.put_bucket(one, 0x0CA10000, bucket)
    root = next(found for found in kernel.qdiscs(one) if found.parent == rttc.ROOT)
    assert (root.kind, root.handle) == ("tbf", 0x0CA10000)
    assert root.bucket == rttc.found_as(bucket)


@pytest.mark.root
def test_hooks_and_redirections_come_and_go(shaping) -> None:
    kernel, one, other = shaping
    assert has_hooks(kernel.qdiscs(one)) == ""
    kernel.add_hooks(one)
    assert has_hooks(kernel.qdiscs(one)) == "clsact"
    kernel.add_redirect(one, 7, other)
    assert {(f.priority, f.redirect) for f in kernel.filters(one) if f.redirect} == {(7, other)}
    assert kernel.filters(one, outgoing=True) == []
    kernel.delete_filter(one, 7)
    assert kernel.filters(one) == []
    kernel.delete_hooks(one)
    assert has_hooks(kernel.qdiscs(one)) == ""


@pytest.mark.parametrize("kind", [36, 37, 44, 45])
def test_a_change_by_a_process_is_told_with_its_interface(kind: int) -> None:
    told = build_message(kind, 0, rttc.build_root(7, 0), port=99)
    assert tcforeign.read_changes(told) == [tcforeign.QueueChange(99, 7)]
    assert tcforeign.read_changes(build_message(16, 0, rttc.build_root(7, 0), port=99)) == []
    with pytest.raises(MalformedMessage):
        tcforeign.read_changes(build_message(kind, 0, b"short", port=99))
