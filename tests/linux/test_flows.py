"""Tracked connections in a namespace of their own: those of an address are forgotten, no others."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.linux.flows import Flows
from tortie.linux.libnftables import Nftables
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.ctnetlink import get_flows, get_flows_of, parse_flow
from tortie.linux.netlink.rtroute import RTN_LOCAL
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket
from tortie.linux.netlink.wire import MalformedMessage, Message
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_prefix

A, B, C = "10.9.0.1", "10.9.0.2", "10.9.0.3"
A6, B6 = "fd00:9::1", "fd00:9::2"
SERVICE = "10.96.0.1"
NO_DAD = 0x02


RULES = f"""
add table inet t
add chain inet t tracking {{ type filter hook output priority 0; }}
add rule inet t tracking ct state new accept
add chain inet t services {{ type nat hook output priority -100; }}
add rule inet t services ip saddr {A} ip daddr {SERVICE} dnat ip to {B}
"""


@pytest.fixture
def namespace() -> Iterator[Path]:
    """A namespace that has all addresses itself, and tracks what it sends."""
    name = f"tortie-flows-{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path), NetlinkSocket() as sock, Nftables() as nft:
            links = Links(sock)
            links.set_up("lo")
            for address in ("10.0.0.1/8", A, C, A6, B6):
                links.add_address("lo", parse_prefix(address), flags=NO_DAD)
            _until_local(Routes(sock))
            nft.run(RULES)
        yield path
    finally:
        delete_named(name)


def _until_local(routes: Routes) -> None:
    """An IPv6 address's route comes a little later, from a queue of the kernel's."""
    for address in (A6, B6):
        deadline = time.monotonic() + 10
        while (found := routes.lookup(parse_prefix(address))) is None or found.type != RTN_LOCAL:
            assert time.monotonic() < deadline, f"{address} did not become the node's own"
            time.sleep(0.001)


def track(path: Path, source: str, destination: str) -> None:
    """Have the kernel track a UDP flow."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with in_namespace(path), socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.sendto(b"tracked", (destination, 53))


def tracked(path: Path) -> set[tuple[str, str]]:
    with in_namespace(path):
        sock = NetlinkSocket(NETLINK_NETFILTER)
    with sock:
        found = [
            parse_flow(message) for version in (4, 6) for message in sock.dump(get_flows(version))
        ]
    return {
        (
            str(Prefix.single(flow.version, flow.original[0])).partition("/")[0],
            str(Prefix.single(flow.version, flow.original[1])).partition("/")[0],
        )
        for flow in found
    }


def forget(path: Path, *addresses: str) -> None:
    with in_namespace(path):
        flows = Flows()
    with closing(flows):
        flows.forget([parse_prefix(address) for address in addresses])


@pytest.mark.root
def test_connections_of_an_address_are_forgotten_and_no_others(namespace: Path) -> None:
    track(namespace, A, B)
    track(namespace, B, A)
    track(namespace, C, B)
    track(namespace, A6, B6)
    forget(namespace, A)
    assert tracked(namespace) == {(C, B), (A6, B6)}
    forget(namespace, B6)
    assert tracked(namespace) == {(C, B)}


@pytest.mark.root
def test_who_answers_for_a_service_is_part_of_the_connection(namespace: Path) -> None:
    track(namespace, A, SERVICE)
    track(namespace, C, SERVICE)
    forget(namespace, B)
    assert tracked(namespace) == {(C, SERVICE)}


@pytest.mark.root
@pytest.mark.parametrize("flows_per_walk", [0, 1000])
def test_many_addresses_are_forgotten_whatever_is_asked_for(
    namespace: Path, monkeypatch: pytest.MonkeyPatch, flows_per_walk: int
) -> None:
    """0: one question for each address; 1000: for all flows."""
    monkeypatch.setattr("tortie.linux.flows._FLOWS_PER_WALK", flows_per_walk)
    track(namespace, A, B)
    track(namespace, C, SERVICE)
    track(namespace, A6, B6)
    forget(namespace, A, A6, *(f"10.1.0.{number}" for number in range(20)))
    assert tracked(namespace) == {(C, SERVICE)}


@pytest.mark.root
def test_the_kernel_sends_only_what_was_asked_for(namespace: Path) -> None:
    """Not needed for what is right, but the cost of a change must not grow with all connections."""
    for number in range(50):
        track(namespace, C, f"10.8.0.{number}")
    track(namespace, A, B)
    with in_namespace(namespace):
        sock = NetlinkSocket(NETLINK_NETFILTER)
    with sock:
        answers = [sock.dump(request) for request in get_flows_of(parse_prefix(A))]
    assert [len(answer) for answer in answers] == [1, 0]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    with suppress(MalformedMessage):
        parse_flow(Message(0x100, 0, 0, 0, payload))
