"""The last objects that the server showed us, so that a write need not read them once more."""

from collections import OrderedDict

MOST, LARGEST = 256, 64 << 10  # objects; bytes of one


class Recent:
    """Bodies by path, the last ones only. Each is right for its own revision for ever."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    def saw(self, path: str, revision: int, body: bytes) -> None:
        """The object at this path had this body at this revision."""
        self._bodies.pop(path, None)
        if len(body) <= LARGEST:
            self._bodies[path] = (revision, body)
        if len(self._bodies) > MOST:
            self._bodies.popitem(last=False)

    def at(self, path: str, revision: int | None) -> bytes | None:
        """The body that it had at this revision, if that was the last that we saw."""
        found = self._bodies.get(path)
        return found[1] if found and found[0] == revision else None
