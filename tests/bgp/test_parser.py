"""BIRD's own parser takes whatever is made of the resources, hostile words and all."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bgp.pictures import ALPHA, BETA, GAMMA, picture
from strategies.bgp import PASSWORDS, cluster_of
from strategies.resources import resources
from tortie.api import Resource
from tortie.bgp.build import Given, picture_of
from tortie.bgp.cluster import Cluster
from tortie.bgp.picture import Family, Filter, Picture, Rule
from tortie.bgp.refusals import Refused, accepted_part
from tortie.bgp.text import bird_text

BIRD = shutil.which("bird", path="/usr/sbin:/usr/bin:/usr/local/sbin")
needs_bird = pytest.mark.skipif(BIRD is None, reason="BIRD 2 is not installed (Debian: bird2)")

# Every statement that the text may begin a line with. What is made of names and values never does.
_KNOWN = re.compile(
    r"(#|log |debug |timeformat |router id |graceful restart|protocol (device|direct|static|kernel"
    r"|bfd|bgp) |function |template |if |\{|\}|route |learn;|ipv[46] |import |export |accept;"
    r"|reject;|krt_metric|bgp_|local |neighbor |multihop |direct;|ttl |strict |password |passive "
    r"|hold |allow |rr |bfd |gateway |next hop |connect |filter_|own_services[46]\(\);|tell[46]\()"
)


FILTER = """
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {name: odd}
spec: {importV4: [{action: Accept}]}
"""
PEER = """
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 172.16.0.254, asNumber: 65000, filters: [odd]}
"""
EXAMPLES = int(os.environ.get("TORTIE_BGP_EXAMPLES", "60"))
KINDS_OF_BGP = (
    *("BGPConfiguration", "BGPPeer", "BGPFilter", "Node", "IPPool", "Service"),
    *("BlockAffinity", "EndpointSlice", "WorkloadEndpoint"),
)


def refused(text: str, folder: Path) -> str:
    """What BIRD's parser says against a text; "" if it takes it."""
    assert BIRD is not None
    path = folder / "any.conf"
    path.write_text(text)
    done = subprocess.run([BIRD, "-p", "-c", path], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stderr}\n{text}"


def told(found: list[Resource], node: str = "alpha") -> Picture:
    """The picture that comes of resources."""
    cluster = Cluster(node)
    for resource in found:
        cluster.put(resource.key, resource)
    picture = picture_of(cluster, PASSWORDS, Given())
    assert picture is not None
    return picture


_SEEDS = st.integers(0, 2**32 - 1)
_settings = settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate])


@needs_bird
@_settings
@given(_SEEDS)
def test_bird_takes_what_is_made_of_any_resources(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    text = bird_text(told(cluster_of(seed)))
    assert (problem := refused(text, tmp_path_factory.getbasetemp())) == "", problem


@needs_bird
@settings(max_examples=EXAMPLES // 4, deadline=None, phases=[Phase.generate])
@given(st.lists(st.one_of(*map(resources, KINDS_OF_BGP)), max_size=4), _SEEDS)
def test_bird_takes_what_is_made_of_resources_of_any_content(
    tmp_path_factory: pytest.TempPathFactory, found: list[Resource], seed: int
) -> None:
    """Texts of any characters, numbers up to their types' bounds."""
    text = bird_text(told([*found, *cluster_of(seed)]))
    assert (problem := refused(text, tmp_path_factory.getbasetemp())) == "", problem


def test_the_clusters_that_are_tried_hold_sessions_of_all_sorts() -> None:
    pictures = [told(cluster_of(seed)) for seed in range(120)]
    sessions = [session for picture in pictures for session in picture.sessions]
    assert {session.origin for session in sessions} == {"NodeMesh", "NodePeer", "GlobalPeer"}
    assert {session.version for session in sessions} == {4, 6}
    for has in ("password", "bfd", "cluster_id", "gateway", "filters", "ttl", "closed", "node"):
        assert any(getattr(session, has) for session in sessions), has
    assert any(each.export4 and not each.closed for p in pictures for each in p.filters)
    assert any(picture.family4.services for picture in pictures)
    assert any(picture.family6.blocks for picture in pictures)
    assert any(picture.family4.advertised for picture in pictures)


@needs_bird
def test_what_bird_refuses_of_a_picture_is_left_out_alone(tmp_path: Path) -> None:
    """Made by hand: no resources are known that come to this."""
    found = picture(ALPHA, BETA, GAMMA, FILTER, PEER)
    no_address = {each.symbol: each for each in found.sessions if each.version == 6}
    wrong = replace(next(iter(no_address.values())), peer=0)
    sessions = [wrong if each.symbol == wrong.symbol else each for each in found.sessions]
    (one,) = found.filters
    odd = Filter(one.symbol, one.name, import4=(Rule(accept=True, community=(1, 2, 3, 4)),))
    broken = replace(found, sessions=tuple(sessions), filters=(odd,))

    async def check(text: str) -> str:
        return refused(text, tmp_path)

    assert asyncio.run(check(bird_text(broken)))
    part = asyncio.run(accepted_part(broken, check))
    assert asyncio.run(check(bird_text(part.picture))) == ""
    assert [each.symbol for each in part.picture.sessions] == [
        each.symbol for each in found.sessions if each.symbol != wrong.symbol
    ]
    assert [each.closed for each in part.picture.filters] == [True]
    assert [each.where for each in part.problems] == ["BGPFilter(odd)", wrong.described]
    assert "BIRD refuses the session: " in part.problems[1].message
    with pytest.raises(Refused):
        asyncio.run(accepted_part(replace(found, family4=Family(priority=-1)), check))


@_settings
@given(_SEEDS)
def test_no_name_or_value_begins_a_line_or_a_statement(seed: int) -> None:
    text = bird_text(told(cluster_of(seed)))
    assert text.isascii()
    for line in text.splitlines():
        assert _KNOWN.match(line.strip()), line
    assert "evil" not in _without_remarks(text)
    assert "include" not in _without_remarks(text)


@_settings
@given(_SEEDS)
def test_the_text_does_not_depend_on_the_order_of_updates(seed: int) -> None:
    last = {resource.key: resource for resource in cluster_of(seed)}
    forward, backward = list(last.values()), list(reversed(last.values()))
    assert bird_text(told(forward)) == bird_text(told(backward))


def _without_remarks(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
