"""A real API server takes our definitions, and judges objects as we do."""

import copy
import json
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.test_crds import WITH_RULES, examples_of
from servers.kube_api import path_of
from servers.kube_crds import ROOT, conditions_of
from strategies.resources import resources
from tortie.api import KINDS, decode, to_manifest
from tortie.api.crds import CUSTOM_KINDS, GROUPS, NATIVE, STORED, definitions
from tortie.api.manifests import read_manifests
from tortie.api.structure import faults

STRICTLY = "dryRun=All&fieldValidation=Strict"
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WRONG = (None, True, -1, 0, 2**31, 2**63, 1.5, 70_000, "", "x", "all()", "X" * 2000)
WRONG_SHAPES = ([], ["x"], ["x", "x"], {}, {"a": "b"})


@pytest.fixture(scope="module")
def judge(shared_kube):
    """(Status, answer) of the server to a manifest, which is not kept."""
    shared_kube.wipe()
    shared_kube.namespace("n")

    def answer(body):
        if KINDS[body["kind"]].namespaced:
            body = {**body, "metadata": {**body["metadata"], "namespace": "n"}}
        return shared_kube.api.answer("POST", f"{path_of(body)}?{STRICTLY}", body)

    return answer


def manifest(kind, spec, name="a"):
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def drawn(data, kind):
    """A manifest of the kind with arbitrary fields."""
    body = to_manifest(data.draw(resources(kind)))
    return manifest(kind, body.get("spec", {}))


def errors(body):
    return [str(error) for error in read_manifests("f", json.dumps(body)).errors]


def test_every_definition_is_established_and_nothing_is_said_against_it(shared_kube):
    wanted = {each["metadata"]["name"] for group in GROUPS for each in definitions(group)}
    found = {each["metadata"]["name"]: each for each in shared_kube.api.get(ROOT)["items"]}
    assert wanted <= set(found)
    for name in wanted:
        said = conditions_of(found[name])
        assert said == {"NamesAccepted": "True", "Established": "True"}, name


@pytest.mark.parametrize("kind", WITH_RULES)
def test_the_server_and_we_refuse_the_same_examples(judge, kind):
    for name, spec in examples_of(kind):
        body = manifest(kind, spec, name)
        status, answer = judge(body)
        assert (status >= 400) == bool(errors(body)), (body, answer)


def test_what_we_write_of_a_valid_file_the_server_takes(judge):
    """Also where a file says it as only people do."""
    files = [manifest(kind, spec, name) for kind in WITH_RULES for name, spec in examples_of(kind)]
    files += [
        manifest("BGPPeer", {"peerIP": "10.0.0.1", "asNumber": "1.10"}),
        manifest("GlobalNetworkPolicy", {"selector": "", "ingress": [{"action": "allow"}]}),
    ]
    taken = 0
    for body in files:
        for located in read_manifests("f", json.dumps(body)).resources:
            status, answer = judge(to_manifest(located.resource))
            assert status == 201, answer
            taken += 1
    assert taken > len(files) / 3


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
@BOUNDED
@given(data=st.data())
def test_what_the_server_takes_has_the_defaults_that_we_fill_in(judge, kind, data):
    """And what it refuses, we refuse."""
    body = drawn(data, kind)
    status, answer = judge(body)
    if status >= 400:
        assert errors(body), answer
        return
    ours, theirs = (decode(kind, json.dumps(each).encode()) for each in (body, answer))
    assert ours.spec == theirs.spec


def places(value, place=()):
    """Every place in a manifest's spec, as keys and indices."""
    yield place
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    yield from chain.from_iterable(places(each, (*place, key)) for key, each in inner)


def changed(body, place, value):
    """The manifest with another value at a place."""
    if not place:
        return {**body, "spec": value}
    body = copy.deepcopy(body)
    at = body["spec"]
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return body


def is_stricter_here(body):
    """Where we say more than the definitions do, as the API's own validators do beyond them."""
    found = list(faults(KINDS[body["kind"]].type, {"spec": body["spec"]}))
    lists = [fault for fault in found if "found a list" in fault.message]  # formats let them by
    bounds = [
        fault for fault in found if " is above " in fault.message or " is below " in fault.message
    ]  # int32 is only a format
    nothing = [fault for fault in found if "found nothing" in fault.message]  # null is pruned
    return len(lists) + len(bounds) + len(nothing) == len(found)


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
@BOUNDED
@given(data=st.data())
def test_faults_of_shape_are_faults_on_both_sides(judge, kind, data):
    whole = drawn(data, kind)
    place = data.draw(st.sampled_from(list(places(whole["spec"]))))
    body = changed(whole, place, data.draw(st.sampled_from([*WRONG, *WRONG_SHAPES])))
    status, answer = judge(body)
    if status >= 400:
        assert errors(body), answer
    elif isinstance(body["spec"], dict):
        assert is_stricter_here(body), body


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
def test_unknown_fields_are_refused_by_name(judge, kind):
    status, answer = judge(manifest(kind, {"noSuchField": 1}))
    assert status >= 400
    assert "noSuchField" in answer["message"]


@pytest.mark.parametrize("number", [2**31, 4_200_000_000, 2**32 - 1])
@pytest.mark.parametrize(
    "body",
    [
        lambda number: manifest("BGPPeer", {"peerIP": "10.0.0.1", "asNumber": number}),
        lambda number: manifest("BGPConfiguration", {"asNumber": number}, "default"),
        lambda number: manifest(
            "BGPFilter", {"exportV4": [{"action": "Accept", "asPathPrefix": [number]}]}
        ),
    ],
)
def test_as_numbers_of_32_bits_are_taken_though_the_format_is_int32(judge, body, number):
    """The server checks no bounds of the format, so the definitions name none either."""
    assert judge(body(number))[0] == 201
    assert errors(body(number)) == []


def test_policies_can_be_selected_by_tier(kube):
    for name, tier in (("a", "default"), ("b", "security")):
        kube.api.create(manifest("GlobalNetworkPolicy", {"tier": tier}, name))
    path = "/apis/projectcalico.org/v3/globalnetworkpolicies?fieldSelector=spec.tier%3Dsecurity"
    assert [each["metadata"]["name"] for each in kube.api.get(path)["items"]] == ["b"]


def test_a_pools_addresses_stay_what_they_were(kube):
    kube.api.create(manifest("IPPool", {"cidr": "10.0.0.0/16", "blockSize": 26}))
    path = "/apis/projectcalico.org/v3/ippools/a"
    merge = "application/merge-patch+json"
    for spec in ({"cidr": "10.1.0.0/16"}, {"blockSize": 27}):
        status, answer = kube.api.answer("PATCH", path, {"spec": spec}, content=merge)
        assert status == 422, answer
        assert "cannot be changed; follow IP pool migration guide" in answer["message"]
    assert kube.api.answer("PATCH", path, {"spec": {"natOutgoing": True}}, content=merge)[0] == 200


@pytest.mark.parametrize("kind", sorted(CUSTOM_KINDS))
def test_the_group_for_storage_keeps_what_other_versions_wrote(shared_kube, kind):
    names = next(each["spec"]["names"] for each in definitions(STORED, [kind]))
    within = "/namespaces/default" if KINDS[kind].namespaced else ""
    spec = {"fieldOfALaterVersion": {"a": [1, "x", None]}}
    body = {"apiVersion": f"{STORED}/{GROUPS[STORED]}", "kind": names["kind"]}
    body |= {"metadata": {"name": "a"}, "spec": spec}
    path = f"/apis/{STORED}/{GROUPS[STORED]}{within}/{names['plural']}?{STRICTLY}"
    assert shared_kube.api.request("POST", path, body)["spec"] == spec


def test_short_names_lead_to_one_kind(shared_kube):
    found = shared_kube.api.get(f"/apis/{NATIVE}/{GROUPS[NATIVE]}")["resources"]
    short = [name for each in found for name in each.get("shortNames", ())]
    assert len(short) == len(set(short))
    stored = shared_kube.api.get(f"/apis/{STORED}/{GROUPS[STORED]}")["resources"]
    assert not [name for each in stored for name in each.get("shortNames", ())]
