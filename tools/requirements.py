"""Write docs/requirements.md of the checks of `tortie node check`."""

from pathlib import Path

from tortie.requirements.documents import requirements_page

PAGE = Path(__file__).parent.parent / "docs" / "requirements.md"

if __name__ == "__main__":
    PAGE.write_text(requirements_page())
