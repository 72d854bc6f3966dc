"""What is wrong with a selector's text, shown to a person."""

_SHOWN = 72  # columns of the text shown around the place


class SelectorError(ValueError):
    """A text that is no selector.

    `text` is the whole input, `position` the offset (from 0) of what is wrong, `expected` what
    should be there, `hint` what to do about it (may be empty).
    """

    def __init__(self, text: str, position: int, expected: str, hint: str = "") -> None:
        super().__init__(text, position, expected, hint)
        self.text = text
        self.position = position
        self.expected = expected
        self.hint = hint

    @property
    def reason(self) -> str:
        """The message on one line, without the caret."""
        said = f"expected {self.expected}, found {self.found}"
        return f"{said} ({self.hint})" if self.hint else said

    @property
    def found(self) -> str:
        """What stands at `position`, as far as a reader needs it."""
        rest = self.text[self.position :]
        if not rest:
            return "the end"
        word = rest.split(maxsplit=1)[0] if not rest[0].isspace() else rest[0]
        return repr(word if len(word) <= 24 else word[:23] + "…")

    def __str__(self) -> str:
        line, column = _window(self.text, self.position)
        place = f"selector, character {self.position + 1}"
        return f"{place}: {self.reason}\n  {line}\n  {' ' * column}^"


def _window(text: str, position: int) -> tuple[str, int]:
    """The part of the text around a position, fit for one line, and the position's column."""
    start = max(0, min(position - _SHOWN // 2, len(text) - _SHOWN))
    part = text[start : start + _SHOWN]
    line = "".join(char if char.isprintable() else " " for char in part)
    before = "…" if start else ""
    after = "…" if start + _SHOWN < len(text) else ""
    return f"{before}{line}{after}", position - start + len(before)
