"""Being told how far a lab has come up. Called from several threads."""

from typing import Protocol


class Progress(Protocol):
    """Who is told; `what` is a node or a workload."""

    def doing(self, what: str, state: str) -> None:
        """`what` has come this far."""
        ...

    def done(self, what: str, state: str) -> None:
        """`what` is there."""
        ...


class Silent:
    """Tells nobody."""

    def doing(self, what: str, state: str) -> None:
        """Nothing."""

    def done(self, what: str, state: str) -> None:
        """Nothing."""
