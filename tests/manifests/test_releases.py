"""Definitions for API servers that are older than what the definitions use."""

import json

import pytest

from tortie.api.crds import GROUPS, NATIVE, WHOLE, Release, definitions, parse_release
from tortie.cli.main import main


def text_of(release):
    return json.dumps(definitions(NATIVE, release=release))


def test_each_release_gets_what_it_knows():
    assert "isIP(" in text_of(WHOLE)
    assert "selectableFields" in text_of(Release(1, 30))
    assert "cidr(" not in text_of(Release(1, 30))
    assert "self == oldSelf" in text_of(Release(1, 29))
    assert "selectableFields" not in text_of(Release(1, 29))
    assert '"reason": "FieldValueInvalid"' not in text_of(Release(1, 27))
    assert '"rule"' in text_of(Release(1, 25))
    assert "x-kubernetes-validations" not in text_of(Release(1, 24))


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_else_differs_between_releases(group):
    def bare(part):
        left_out = ("x-kubernetes-validations", "selectableFields")
        if isinstance(part, dict):
            return {k: bare(v) for k, v in part.items() if k not in left_out or isinstance(v, dict)}
        return [bare(each) for each in part] if isinstance(part, list) else part

    old, new = (bare(definitions(group, release=each)) for each in (Release(1, 21), WHOLE))
    assert old == new


@pytest.mark.parametrize("text", ["1.30", "v1.30", "v1.30.14", "1.30.4-gke.100", "1.30.1+k3s1"])
def test_releases_are_read_as_servers_write_them(text):
    assert parse_release(text) == Release(1, 30)


@pytest.mark.parametrize(
    ("text", "said"),
    [("latest", "write it like 1.30"), ("1", "write it like 1.30"), ("1.20", "too old")],
)
def test_other_words_are_refused_with_a_hint(text, said, capsys):
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["crds", "--kubernetes", text]))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
