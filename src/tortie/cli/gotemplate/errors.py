"""What is wrong with a template, and where."""


class TemplateError(ValueError):
    """The message begins with line and column, both from 1."""

    def __init__(self, message: str, text: str, position: int) -> None:
        before = text[:position]
        line = before.count("\n") + 1
        column = position - (before.rfind("\n") + 1) + 1
        super().__init__(f"go-template:{line}:{column}: {message}")
        self.line = line
        self.column = column


class Fault(Exception):
    """Something wrong where the position is known to the caller only."""
