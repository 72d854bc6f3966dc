"""BIRD's own words, read: bytes to replies, replies to sessions and routes, both to reasons."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.pictures import ALPHA, BETA, picture
from tortie.bgp.reasons import Md5Drops, md5_drops, reason
from tortie.bgp.replies import BadReply, Replies, Reply
from tortie.bgp.status import Hop, bird_state, route_states, session_states
from tortie.bgp.words import Password

STATUS = b"""1000-BIRD 2.0.12
1011-Router ID is 172.16.0.1
 Hostname is here
 Current server time is 2026-11-21 07:43:44.180
 Last reboot on 2026-11-21 07:43:41.021
 Last reconfiguration on 2026-11-21 07:43:42.000
0013 Daemon is up and running
"""
PROTOCOLS = b"""2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     2026-11-21 07:43:41.021  
1006-
1002-Mesh_172_16_0_2 BGP        ---        up     2026-11-21 07:43:41.976  Established   
1006-  BGP state:          Established
     Neighbor address: 172.16.0.2
     Neighbor AS:      64512
   Channel ipv4
     State:          UP
     Routes:         3 imported, 2 exported, 1 preferred
1006-
1002-Global_fd16__fe BGP        ---        start  2026-11-21 07:43:41.959  Connect
1006-  BGP state:          Connect
     Neighbor address: fd16::fe
     Last error:       Socket: No route to host
0000 
"""  # noqa: W291 - as BIRD writes it
ROUTES = b"""1007-Table master4:
 0.0.0.0/0            unicast [kernel4 07:43:41.022] * (10)
 \tvia 172.16.0.254 on eth0
1007-10.65.0.0/26         blackhole [blocks4 07:43:41.021] * (200)
                      blackhole [kernel4 07:43:41.022] (10)
1007-203.0.113.0/24       unicast [Global_a 07:43:42.018 from 172.16.0.9] * (100) [AS65000i]
 \tvia 172.16.0.254 on eth0 weight 1
 \tvia 172.16.0.253 on eth0 weight 1
1007-
 Table master6:
 fd16::/64            unicast [direct1 07:43:41.022] * (240)
 \tdev eth0
0000 
"""  # noqa: W291 - as BIRD writes it


def reply(data: bytes) -> Reply:
    (found,) = Replies().feed(data)
    return found


@given(st.lists(st.integers(1, 40), max_size=60))
def test_replies_come_whole_however_the_bytes_come(cuts: list[int]) -> None:
    data = b"0001 BIRD 2.0.12 ready.\n" + STATUS + PROTOCOLS + ROUTES
    whole, parts, at = Replies().feed(data), Replies(), 0
    found = []
    for cut in [*cuts, len(data)]:
        found += parts.feed(data[at : at + cut])
        at += cut
    assert found == whole
    assert len(whole) == 4


@given(st.binary(max_size=300))
def test_what_is_no_reply_is_told_and_breaks_nothing(data: bytes) -> None:
    with suppress(BadReply):
        Replies().feed(data)


def test_failures_are_known_by_their_number() -> None:
    assert reply(b"9001 syntax error\n").failed
    assert reply(b"8002 /x: 1:1 no\n").failed
    assert not reply(b"0003 Reconfigured\n").failed


def test_the_daemon_says_who_it_is() -> None:
    found = bird_state(reply(STATUS))
    assert found == ("2.0.12", "172.16.0.1", "2026-11-21 07:43:41.021", "2026-11-21 07:43:42.000")


def test_sessions_are_read_with_their_states_and_errors() -> None:
    found = session_states(reply(PROTOCOLS))
    mesh, tor = found["Mesh_172_16_0_2"], found["Global_fd16__fe"]
    assert (mesh.state, mesh.imported, mesh.exported) == ("Established", 3, 2)
    assert (tor.state, tor.error) == ("Connect", "Socket: No route to host")
    assert mesh.since == "2026-11-21 07:43:41.976"


def test_routes_are_read_with_all_their_ways() -> None:
    found = route_states(reply(ROUTES))
    by_name = {(route.destination, route.symbol): route for route in found[4]}
    assert by_name["203.0.113.0/24", "Global_a"].hops == (
        Hop("172.16.0.254", "eth0"),
        Hop("172.16.0.253", "eth0"),
    )
    assert by_name["10.65.0.0/26", "blocks4"].best
    assert not by_name["10.65.0.0/26", "kernel4"].best
    assert [(route.destination, route.hops) for route in found[6]] == [
        ("fd16::/64", (Hop("", "eth0"),))
    ]


@given(st.lists(st.sampled_from([STATUS, PROTOCOLS, ROUTES]), min_size=1), st.randoms())
def test_lines_in_any_order_are_no_crash(parts: list[bytes], random: object) -> None:
    lines = [line for part in parts for line in part.splitlines()]
    random.shuffle(lines)  # type: ignore[attr-defined]
    data = b"\n".join([b"1007-x", *lines, b"0000 "]) + b"\n"
    replies = []
    with suppress(BadReply):
        replies = Replies().feed(data)
    for each in replies:
        bird_state(each), session_states(each), route_states(each)


NONE = Md5Drops()


@pytest.mark.parametrize(
    ("error", "drops", "secret", "said"),
    [
        ("Socket: Connection refused", NONE, False, "nothing listens on its port 179"),
        ("Socket: No route to host", NONE, False, "unreachable"),
        ("Received: Bad peer AS", NONE, False, "the peer expects another one of us than 64512"),
        ("Bad peer AS", NONE, False, "has another one than 64512"),
        ("BFD session down", NONE, False, "BFD lost the peer"),
        ("Hold timer expired", NONE, False, "fell silent"),
        ("Received: Cease", NONE, False, "the peer ended it: Cease"),
        ("Socket: Connection closed", NONE, False, "closed the connection"),
        ("some new words", NONE, False, "some new words"),
        ("", Md5Drops(wrong=3), True, "password: ours and the peer's differ"),
        ("", Md5Drops(missing=3), True, "password: we have one and the peer has none"),
        ("", Md5Drops(unexpected=3), False, "password: the peer has one and we have none"),
        ("", NONE, True, "it has no password or another one"),
        ("Received: Bad peer AS", Md5Drops(unexpected=9), False, "wrong AS number"),
        ("Bad peer AS", Md5Drops(unexpected=9), False, "has another one than"),
    ],
)
def test_reasons_are_for_people(error: str, drops: Md5Drops, secret: bool, said: str) -> None:
    from msgspec.structs import replace

    state = session_states(reply(PROTOCOLS))["Global_fd16__fe"]._replace(error=error)
    session = replace(
        picture(ALPHA, BETA).sessions[0],
        passive=False,
        password=Password(b"x") if secret else None,
    )
    assert said in reason(session, state, drops)


def test_a_session_without_an_error_says_what_it_waits_for() -> None:
    from msgspec.structs import replace

    quiet = session_states(reply(PROTOCOLS))["Global_fd16__fe"]._replace(error="")
    calls = replace(picture(ALPHA, BETA).sessions[0], passive=False)
    assert "no answer: unreachable, or a firewall" in reason(calls, quiet, NONE)
    assert "waiting for the peer to connect" in reason(replace(calls, passive=True), quiet, NONE)
    assert reason(calls, quiet._replace(state="Idle"), NONE) == "about to begin"
    assert reason(calls, quiet._replace(info="Idle (hold)"), NONE) == "about to begin"
    assert reason(calls, None, NONE) == "BIRD has no such session yet"


def test_a_session_that_is_up_has_no_reason() -> None:
    state = session_states(reply(PROTOCOLS))["Mesh_172_16_0_2"]
    assert reason(picture(ALPHA, BETA).sessions[0], state, Md5Drops(5, 5, 5)) == ""


def test_the_kernels_counts_are_read_by_name() -> None:
    text = (
        "TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure\n"
        "TcpExt: 1 2 3 4\nIpExt: InNoRoutes\nIpExt: 0\n"
    )
    assert md5_drops(text) == Md5Drops(2, 3, 4)
    assert md5_drops("") == Md5Drops()
    assert Md5Drops(5, 5, 5).since(Md5Drops(1, 2, 3)) == Md5Drops(4, 3, 2)
