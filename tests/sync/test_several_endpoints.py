"""Pods with several interfaces: endpoints that come and go with what their Pod tells."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from strategies.faults import endpoint, pod, several
from tortie.api import Key, Pod, Resource
from tortie.datastore import Deleted, Event, Listing, Malformed, Put
from tortie.kubernetes import conversion
from tortie.sync.translator import Translator

SOURCE = Key("Pod", "web", "a")


def target(ifname: str) -> Key:
    return Key("WorkloadEndpoint", "web", f"node--a-k8s-a-{ifname}")


def put(resource: Resource, revision: int) -> Put:
    return Put(resource.key, resource, revision)


def told(translator: Translator, *events: Event) -> dict[Key, bool]:
    """Which keys go out, and whether with a value."""
    translator.apply(events)
    return {key: value is not None for key, value in translator.take_updates().items()}


def test_each_interface_goes_out_and_one_that_goes_leaves_the_others() -> None:
    translator = Translator()
    both = several(pod("a"), {"net1": True, "net2": True})
    ends = ("eth0", "net1", "net2")
    assert told(translator, put(both, 1)) == {target(end): True for end in ends}
    left = several(both, {"net1": False})
    assert told(translator, put(left, 2)) == {
        target("eth0"): True,
        target("net1"): False,
        target("net2"): True,
    }
    assert told(translator, put(left, 3)) == {target("eth0"): True, target("net2"): True}


def test_with_the_pod_all_of_them_go() -> None:
    translator = Translator()
    told(translator, put(several(pod("a"), {"net1": True}), 1))
    assert told(translator, Deleted(SOURCE, 2)) == {target("eth0"): False, target("net1"): False}


def test_a_listing_without_the_pod_takes_all_of_them_back() -> None:
    translator = Translator()
    told(translator, put(several(pod("a"), {"net1": True}), 1))
    translator.restart(2)
    translator.begin("Pod")
    translator.page(Listing((), (), 2))
    translator.end("Pod", 2)
    assert translator.take_updates() == {target("eth0"): None, target("net1"): None}


def test_a_pod_on_another_node_takes_its_endpoints_with_it() -> None:
    translator = Translator()
    told(translator, put(several(pod("a"), {"net1": True}), 1))
    moved = several(pod("a", node="b"), {"net1": True})
    found = told(translator, put(moved, 2))
    assert found == {
        target("eth0"): False,
        target("net1"): False,
        Key("WorkloadEndpoint", "web", "b-k8s-a-eth0"): True,
        Key("WorkloadEndpoint", "web", "b-k8s-a-net1"): True,
    }


def test_a_pod_that_can_not_be_read_keeps_all_its_endpoints() -> None:
    translator = Translator()
    told(translator, put(several(pod("a"), {"net1": True}), 1))
    assert told(translator, Malformed(SOURCE, "no JSON", 2)) == {}
    assert told(translator, Deleted(SOURCE, 3)) == {target("eth0"): False, target("net1"): False}


def test_a_stored_endpoint_of_one_interface_wins_over_it_alone_and_gives_it_back() -> None:
    """As earlier versions stored them beside the Pod."""
    translator = Translator()
    both = several(pod("a"), {"net1": True})
    told(translator, put(both, 1))
    stored = endpoint("a", ifname="net1")
    assert told(translator, put(stored, 2)) == {target("net1"): True}
    translator.apply([put(several(pod("a", app="x"), {"net1": True}), 3)])
    assert set(translator.take_updates()) == {target("eth0")}
    translator.apply([Deleted(stored.key, 4)])
    assert translator.take_wanted() == [SOURCE]
    translator.reread(put(both, 3))
    found = translator.take_updates()
    assert found[target("net1")] is not None


PODS = st.builds(
    lambda address, further: several(pod("a", address=address), further),
    st.sampled_from(["", "10.0.0.1"]),
    st.dictionaries(st.sampled_from(["net1", "net2", "net3"]), st.booleans()),
)


@given(st.lists(st.none() | PODS, max_size=12))
def test_what_went_out_is_what_the_last_pod_stands_for(states: list[Pod | None]) -> None:
    translator, out = Translator(), dict[Key, Resource]()
    for revision, state in enumerate(states, 1):
        event = Deleted(SOURCE, revision) if state is None else put(state, revision)
        translator.apply([event])
        for key, value in translator.take_updates().items():
            if value is None:
                del out[key]  # nothing is withdrawn that was not out
            else:
                out[key] = value
        assert out == dict(_wanted(state))


def _wanted(state: Pod | None) -> Iterator[tuple[Key, Resource]]:
    for value in conversion(state).values if state is not None else ():
        yield value.key, value
