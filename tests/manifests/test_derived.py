"""What is in manifests/ is what its sources say now."""

import pytest
from tools.manifests import ROOT, derived

DERIVED = derived()


@pytest.mark.parametrize(
    "path", [pytest.param(each, id=str(each.relative_to(ROOT))) for each in DERIVED]
)
def test_derived_manifests_are_up_to_date(path):
    """`make manifests` writes them."""
    assert path.read_text() == DERIVED[path]


def test_nothing_else_is_there():
    assert set(ROOT.rglob("*.yaml")) == set(DERIVED)
