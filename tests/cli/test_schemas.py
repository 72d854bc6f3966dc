"""`tortie crds` and `tortie explain`: what people see of the kinds' schemas."""

import json

import pytest
import yaml

from strategies.command_line import Tortie
from tortie.api import KINDS
from tortie.api.crds import CUSTOM_KINDS


def test_crds_prints_both_groups_of_all_kinds(tortie: Tortie) -> None:
    said = tortie("crds")
    found = [document["metadata"]["name"] for document in yaml.safe_load_all(said.out)]
    assert len(found) == 2 * len(CUSTOM_KINDS)
    assert {"ippools.projectcalico.org", "ippools.crd.projectcalico.org"} <= set(found)


def test_crds_prints_some_kinds_of_one_group_as_json(tortie: Tortie) -> None:
    said = tortie("crds", "--group", "projectcalico.org", "gnp", "tiers", "-o", "json")
    listed = json.loads(said.out)
    assert listed["kind"] == "List"
    assert [each["spec"]["names"]["kind"] for each in listed["items"]] == [
        "GlobalNetworkPolicy",
        "Tier",
    ]


def test_crds_has_no_definition_of_what_is_no_custom_resource(tortie: Tortie) -> None:
    said = tortie("crds", "pods")
    assert (said.status, said.out) == (1, "")
    assert "Pod" in said.err


def test_explain_says_what_a_field_is(tortie: Tortie) -> None:
    said = tortie("explain", "IPPool.spec.blockSize")
    assert said.status == 0
    assert said.out.startswith("IPPool.spec.blockSize  <integer>\n")
    assert "bounds: 0 to 128" in said.out


def test_explain_lists_the_fields_inside_and_how_people_call_the_kind(tortie: Tortie) -> None:
    kind = tortie("explain", "gnp").out
    assert "projectcalico.org/v3 GlobalNetworkPolicy, cluster-wide" in kind
    assert "also: globalnetworkpolicies, gnp" in kind
    spec = tortie("explain", "ippool.spec").out
    assert "  cidr  <string>  required\n" in spec
    assert "    choices: Always, CrossSubnet, Never\n" in spec


def test_explain_recursively_shows_names_and_types(tortie: Tortie) -> None:
    said = tortie("explain", "np.spec.ingress", "--recursive")
    assert "\n  source  <object>\n    nets  <[]string>\n" in said.out


def test_explain_names_the_nearest_field(tortie: Tortie) -> None:
    said = tortie("explain", "ippool.spec.blocksiz")
    assert (said.status, said.out) == (1, "")
    assert 'did you mean "blockSize"?' in said.err
    assert "did you mean ippool" in tortie("explain", "ippol").err


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("flags", [(), ("--recursive",)])
def test_explanations_fit_into_80_columns(
    tortie: Tortie, kind: str, flags: tuple[str, ...]
) -> None:
    for path in (kind, f"{kind}.metadata", *([f"{kind}.spec"] if has_spec(kind) else [])):
        said = tortie("explain", path, *flags)
        assert said.status == 0
        assert max(map(len, said.out.splitlines())) <= 80


def has_spec(kind: str) -> bool:
    return "spec" in KINDS[kind].type.__struct_fields__
