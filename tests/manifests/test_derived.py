"""What is in manifests/ is what its sources say now."""

import pytest
from tools.manifests import ROOT, derived


@pytest.mark.parametrize(
    ("path", "text"), [pytest.param(*each, id=str(each[0].relative_to(ROOT))) for each in derived()]
)
def test_derived_manifests_are_up_to_date(path, text):
    """`make manifests` writes them."""
    assert path.read_text() == text
