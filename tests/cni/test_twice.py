"""One container id for two containers, against CNI's rule: the second gets an error, and whatever
is done under its name leaves the first one's address, interface and record as they are.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cni.look import (
    NETWORK,
    addresses,
    endpoint,
    failed,
    findings,
    held,
    inside,
    nothing_left,
    put_pod,
    result,
)
from cni.node import RealNode, until
from tortie.api import Key

pytestmark = pytest.mark.root
FIRST = "web"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    found = RealNode(tmp_path_factory.mktemp("twice"))
    try:
        found.start_ready()
        yield found
    finally:
        found.close()


class State:
    """All that the first container has."""

    def __init__(self, node, netns, address):
        self.address = address
        self.inside = addresses(netns), inside(netns)[1]
        self.links = node.links()
        self.held = held(node, f"{NETWORK}.c1")
        handle = node.get(Key("IPAMHandle", "", f"{NETWORK}.c1"))
        self.handle = handle.spec.block
        self.pod = node.get(Key("Pod", "default", FIRST))
        self.route = node.route_to(address)

    def __eq__(self, other):
        return vars(self) == vars(other)


@pytest.fixture
def first(shared):
    """The pod that was there first: (its namespace, what it has)."""
    put_pod(shared, FIRST)
    netns = shared.namespace(f"first{len(shared.namespaces)}")
    address = result(shared.cni("ADD", "c1", netns, FIRST))["ips"][0]["address"]
    state = State(shared, netns, address)
    yield netns, state
    assert shared.cni("DEL", "c1", netns, FIRST).returncode == 0
    shared.store(lambda store: store.delete(Key("Pod", "default", FIRST)))
    nothing_left(shared)
    assert findings(shared) == []


@pytest.mark.parametrize(
    ("name", "asked"),
    [("other", None), ("fixed", {"ipAddrs": '["10.77.0.77"]'}), ("", None)],
    ids=["a pod", "a pod with an address by name", "no pod"],
)
def test_the_second_gets_an_error_and_the_first_keeps_all(shared, first, name, asked):
    netns, before = first
    if name:
        put_pod(shared, name, asked)
    space = shared.namespace(f"second{len(shared.namespaces)}")
    error = failed(shared.cni("ADD", "c1", space, name))
    address = before.address.partition("/")[0]
    assert error["code"] == 101
    for word in (f"Pod default/{FIRST} on n1", address, "an id of its own"):
        assert word in error["msg"]
    until(lambda: set(inside(space)[0]) == {"lo"}, "the end of its interface")
    until(lambda: State(shared, netns, before.address) == before, "the first one's state")
    if name:  # without a name DEL says nothing of whose it is, and gives back what the id has
        for _ in range(2):
            assert shared.cni("DEL", "c1", space, name).returncode == 0
        assert shared.cni("DEL", "c1", "", name).returncode == 0
    until(lambda: State(shared, netns, before.address) == before, "the first one's state")
    assert shared.cni("CHECK", "c1", netns, FIRST).returncode == 0
    assert findings(shared) == []
    if name:
        shared.store(lambda store: store.delete(Key("Pod", "default", name)))


def test_an_agent_that_was_started_anew_tells_them_apart_too(shared, first):
    netns, before = first
    put_pod(shared, "late")
    shared.kill()
    shared.start_ready()
    space = shared.namespace(f"late{len(shared.namespaces)}")
    assert failed(shared.cni("ADD", "c1", space, "late"))["code"] == 101
    assert shared.cni("DEL", "c1", space, "late").returncode == 0
    until(lambda: State(shared, netns, before.address) == before, "the first one's state")
    shared.store(lambda store: store.delete(Key("Pod", "default", "late")))


def test_a_runtime_that_names_no_pod_ends_the_pods_container_as_a_whole(shared):
    put_pod(shared, "unnamed")
    netns = shared.namespace("unnamed")
    result(shared.cni("ADD", "c2", netns, "unnamed"))
    for _ in range(2):
        assert shared.cni("DEL", "c2", netns, "").returncode == 0
        assert held(shared, f"{NETWORK}.c2") == ()
        nothing_left(shared)
    assert shared.cni("DEL", "c2", netns, "unnamed").returncode == 0
    nothing_left(shared)
    shared.store(lambda store: store.delete(Key("Pod", "default", "unnamed")))


def test_a_runtime_that_names_no_pod_ends_a_stored_endpoint_too(shared):
    """Of a pod that the datastore does not have, as a static one's may come late."""
    netns = shared.namespace("static")
    result(shared.cni("ADD", "c3", netns, "static"))
    name = "n1-k8s-static-eth0"
    assert endpoint(shared, name) is not None
    assert shared.cni("DEL", "c3", "", "").returncode == 0
    assert held(shared, f"{NETWORK}.c3") == ()
    assert endpoint(shared, name) is None
    nothing_left(shared)


def test_a_late_end_without_a_pods_name_spares_the_pods_next_container(shared):
    put_pod(shared, "anew")
    earlier, later = shared.namespace("earlier"), shared.namespace("later")
    result(shared.cni("ADD", "c4", earlier, "anew"))
    address = result(shared.cni("ADD", "c5", later, "anew"))["ips"][0]["address"]
    before = addresses(later), held(shared, f"{NETWORK}.c5")
    assert shared.cni("DEL", "c4", earlier, "").returncode == 0
    assert held(shared, f"{NETWORK}.c4") == ()
    assert (addresses(later), held(shared, f"{NETWORK}.c5")) == before
    assert before == ({address}, (address,))
    assert shared.cni("CHECK", "c5", later, "anew").returncode == 0
    assert shared.cni("DEL", "c5", later, "anew").returncode == 0
    nothing_left(shared)
    shared.store(lambda store: store.delete(Key("Pod", "default", "anew")))


def test_two_that_come_at_once_are_told_apart(shared):
    names = ("left", "right")
    for name in names:
        put_pod(shared, name)
    spaces = [shared.namespace(name) for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        calls = [
            pool.submit(shared.cni, "ADD", "c6", space, name)
            for space, name in zip(spaces, names, strict=True)
        ]
    ended = [one.result() for one in calls]
    assert sorted(one.returncode for one in ended) == [0, 1]
    assert [failed(one)["code"] for one in ended if one.returncode] == [101]
    assert len(held(shared, f"{NETWORK}.c6")) == 1
    for space, name in zip(spaces, names, strict=True):
        assert shared.cni("DEL", "c6", space, name).returncode == 0
        shared.store(lambda store, name=name: store.delete(Key("Pod", "default", name)))
    nothing_left(shared)
