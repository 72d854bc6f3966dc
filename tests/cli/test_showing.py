"""Any resource can be shown, in every form, and nothing of it is lost by applying it again."""

import asyncio
import io
import json
import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.resources import any_resource, resources
from tortie.api import KINDS, Namespace, Pod, Resource, to_manifest, with_metadata
from tortie.cli import writing
from tortie.cli.columns import COLUMNS, header, row
from tortie.cli.merging import admitted, merged
from tortie.cli.show import FORMATS, Shown, as_line, as_text, name_of
from tortie.cli.terminal import paint, plural, table, wants_colour
from tortie.datastore.memory import MemoryDatastore

SAFE = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@st.composite
def named(draw: st.DrawFn) -> Resource:
    """A resource of any kind, named as a datastore wants it."""
    resource = draw(any_resource())
    namespace = draw(SAFE) if KINDS[resource.kind].namespaced else ""
    return with_metadata(resource, name=draw(SAFE), namespace=namespace, resource_version="")


@given(any_resource(), st.sampled_from(FORMATS))
@settings(deadline=None)
def test_every_resource_has_every_form(resource: Resource, output: str) -> None:
    kind = KINDS[resource.kind]
    assert as_text(output, Shown([kind], [resource], named=True))
    assert as_line(output, kind, resource)


@given(any_resource(), st.booleans(), st.booleans())
@settings(deadline=None)
def test_a_row_has_a_cell_for_each_column(resource: Resource, wide: bool, namespaced: bool) -> None:
    cells = row(resource, wide, namespaced)
    assert len(cells) == len(header(resource.kind, wide, namespaced))
    assert all(isinstance(cell, str) for cell in cells)


@given(st.lists(any_resource(), min_size=1, max_size=3))
@settings(deadline=None)
def test_yaml_and_json_say_the_same(some: list[Resource]) -> None:
    shown = Shown(list(KINDS.values()), some)
    manifests = [to_manifest(resource) for resource in some]
    assert json.loads(as_text("json", shown))["items"] == manifests
    assert yaml.safe_load(as_text("yaml", shown))["items"] == manifests


@given(named())
@settings(deadline=None)
def test_applying_twice_changes_nothing(resource: Resource) -> None:
    async def run() -> list[str]:
        store = MemoryDatastore()
        outcomes = [*await writing.apply_all(store, [resource])]
        outcomes += await writing.apply_all(store, [resource])
        outcomes += await writing.apply_all(store, [await store.get(resource.key)])
        outcomes += await writing.delete_all(store, [resource.key, resource.key])
        return [outcome.result for outcome in outcomes]

    assert asyncio.run(run()) == ["created", "unchanged", "unchanged", "deleted", "absent"]


@st.composite
def of_one_kind(draw: st.DrawFn) -> tuple[Resource, Resource]:
    """Two resources of the same kind."""
    of_kind = resources(draw(st.sampled_from(sorted(KINDS))))
    return draw(of_kind), draw(of_kind)


@given(of_one_kind())
@settings(deadline=None)
def test_what_is_given_wins_and_identity_stays(pair: tuple[Resource, Resource]) -> None:
    stored, given_ = pair
    stored = with_metadata(stored, uid="u", creation_timestamp="2026-01-01T00:00:00Z")
    result = merged(stored, given_)
    assert result.metadata.uid == "u"
    assert result.metadata.creation_timestamp == "2026-01-01T00:00:00Z"
    assert result.metadata.labels == given_.metadata.labels
    if not isinstance(given_, Pod):
        assert getattr(result, "spec", None) == getattr(given_, "spec", None)


@given(any_resource())
@settings(deadline=None)
def test_only_namespaces_change_on_admission(resource: Resource) -> None:
    result = admitted(resource)
    assert admitted(result) == result
    if not isinstance(resource, Namespace):
        assert result == resource


@given(st.lists(named(), max_size=8))
@settings(deadline=None)
def test_namespaces_come_first_and_pods_last(some: list[Resource]) -> None:
    kinds = [resource.kind for resource in writing.in_order(some)]
    assert sorted(kinds) == sorted(resource.kind for resource in some)
    if "Namespace" in kinds:
        assert kinds[0] == "Namespace"
    policies = [kinds.index(kind) for kind in kinds if kind.endswith("NetworkPolicy")]
    if "Pod" in kinds and "NetworkPolicy" in kinds:
        assert max(policies, default=0) < len(kinds) - 1
        assert kinds.index("NetworkPolicy") < kinds.index("Pod")


def test_columns_are_of_kinds_that_there_are() -> None:
    assert not COLUMNS.keys() - KINDS.keys()


def test_names_are_as_get_takes_them() -> None:
    pod = with_metadata(Pod(), name="web", namespace="shop")
    assert name_of(pod) == "pods/shop/web"


def test_columns_line_up_and_nothing_trails() -> None:
    assert table(("NAME", "N"), [("a", ""), ("long-name", "2")]).splitlines() == [
        "NAME        N",
        "a",
        "long-name   2",
    ]


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        """Always."""
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert paint("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert paint("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(1, "node", "1 node"), (0, "node", "0 nodes"), (2, "process", "2 processes")],
)
def test_numbers_agree_with_their_nouns(count: int, noun: str, text: str) -> None:
    assert plural(count, noun) == text
