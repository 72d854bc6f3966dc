"""Any input whatever gives valid objects or errors for people, never a crash."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from strategies.resources import any_resource
from tortie.api import KINDS, DecodeError, decode, encode, to_manifest
from tortie.api.manifests import read_manifests
from tortie.api.structure import faults
from tortie.api.validation import apply_defaults, validate
from tortie.kubernetes import conversion

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
    | st.text(max_size=20)
    | st.sampled_from(["Allow", "10.0.0.0/8", "80:90", "a == 'b'", "TCP", "all()"])
)
_DATA = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
_PIECES = [*("---\n", "- ", ": ", "&a ", "*a", "<<: ", "\n  ", "\n", "'", '"', "!!str ")]
_YAMLISH = st.lists(st.sampled_from([*_PIECES, *"abk0:#|>?,~.=%@{}[]\t\x85"])).map("".join)


def settled(found):
    """Either everything of it is valid, or there is an error."""
    for error in found.errors:
        assert error.message
        assert str(error).startswith("f.yaml")
    for located in found.resources:
        assert validate(located.resource) == ()
        assert decode(located.resource.kind, encode(located.resource)) == located.resource
        conversion(located.resource)


@settings(max_examples=300, deadline=None)
@given(st.text() | _YAMLISH | st.binary())
@example("--- !<tag:x> a")
@example("%YAML 1.1\n---\na: 1")
@example("a: !!binary =")
@example("? ? a\n")
@example("&a a: *a")
@example("<<: {<<: {}}")
def test_text_never_crashes(text):
    settled(read_manifests("f.yaml", text))


@settings(max_examples=200, deadline=None)
@given(_DATA, st.sampled_from(sorted(KINDS)))
def test_data_in_place_of_an_object_never_crashes(data, name):
    kind = KINDS[name]
    body = {"apiVersion": kind.api_version, "kind": kind.manifest_kind, "metadata": {"name": "a"}}
    settled(read_manifests("f.yaml", json.dumps({**body, "spec": data})))


@settings(max_examples=200, deadline=None)
@given(any_resource(), st.data())
def test_a_damaged_object_never_crashes(resource, data):
    manifest = to_manifest(resource)
    _damage(manifest, data)
    settled(read_manifests("f.yaml", json.dumps(manifest)))


@settings(max_examples=300, deadline=None)
@given(any_resource())
def test_any_object_of_the_right_types_is_judged(resource):
    for violation in validate(apply_defaults(resource)):
        assert violation.message
    conversion(resource)


@settings(max_examples=300, deadline=None)
@given(
    st.binary() | _DATA.map(lambda data: json.dumps(data).encode()), st.sampled_from(sorted(KINDS))
)
def test_bytes_of_a_datastore_never_crash(data, kind):
    try:
        resource = decode(kind, data)
    except DecodeError:
        return
    validate(apply_defaults(resource))


@settings(max_examples=300, deadline=None)
@given(any_resource(), st.data())
def test_msgspec_agrees_with_the_shape_that_people_are_held_to(resource, data):
    manifest = json.loads(json.dumps(to_manifest(resource)))
    _damage(manifest, data)
    manifest.pop("apiVersion", None)
    manifest.pop("kind", None)
    unfit = [f for f in faults(type(resource), manifest) if f.message != "unknown field"]
    try:
        decode(resource.kind, json.dumps(manifest).encode())
    except DecodeError:
        assert unfit


def _damage(manifest, data):
    """Puts something arbitrary somewhere."""
    places = list(_places(manifest))
    container, key = data.draw(st.sampled_from(places))
    container[key] = data.draw(_DATA)


def _places(value):
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
