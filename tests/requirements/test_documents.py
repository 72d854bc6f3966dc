"""docs/requirements.md is what the checks say."""

from pathlib import Path

from tortie.requirements.documents import requirements_page

PAGE = Path(__file__).parents[2] / "docs" / "requirements.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == requirements_page(), "run `make requirements`"


def test_its_lines_are_short() -> None:
    assert max(map(len, requirements_page().splitlines())) <= 100
