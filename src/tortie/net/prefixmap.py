"""A map from prefixes to values that knows which prefix lies in which.

A path-compressed binary trie per address family: every node is an entry or a fork of two, so that
a step down costs one comparison, and there are at most 32 (128) of them.
"""

from collections.abc import Iterator, MutableMapping
from typing import Generic, TypeVar

from tortie.net.addresses import WIDTH, Prefix, host_mask

Value = TypeVar("Value")


class _Node(Generic[Value]):
    """`entry` is a one-tuple of the value, or None for a fork that is no entry.

    `address` and `shift` (how many bits are the hosts') are the prefix's, at hand for the way down.
    """

    __slots__ = ("address", "children", "entry", "prefix", "shift")

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.address = prefix.address
        self.shift = WIDTH[prefix.version] - prefix.length
        self.entry: tuple[Value] | None = None
        self.children: list[_Node[Value] | None] = [None, None]


class PrefixMap(MutableMapping[Prefix, Value]):
    """Values by prefix, in the order of Prefix. Prefixes must have their host bits zero."""

    def __init__(self) -> None:
        self._roots = {version: _Node[Value](Prefix(version, 0, 0)) for version in WIDTH}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Prefix]:
        for root in self._roots.values():
            for prefix, _ in self.within(root.prefix):
                yield prefix

    def __getitem__(self, prefix: Prefix) -> Value:
        node = self._path(prefix)[-1]
        if node.prefix != prefix or node.entry is None:
            raise KeyError(prefix)
        return node.entry[0]

    def __setitem__(self, prefix: Prefix, value: Value) -> None:
        if prefix.address & host_mask(prefix.version, prefix.length):
            raise ValueError(f"{prefix} has host bits")
        node = self._path(prefix)[-1]
        if node.prefix != prefix:
            node = _insert(node, prefix)
        self._size += node.entry is None
        node.entry = (value,)

    def __delitem__(self, prefix: Prefix) -> None:
        path = self._path(prefix)
        node = path[-1]
        if node.prefix != prefix or node.entry is None:
            raise KeyError(prefix)
        node.entry = None
        self._size -= 1
        _prune(path)

    def covering(self, prefix: Prefix) -> Iterator[tuple[Prefix, Value]]:
        """The entries that contain a prefix (itself included), the widest first."""
        for node in self._path(prefix):
            if node.entry is not None:
                yield node.prefix, node.entry[0]

    def longest(self, prefix: Prefix) -> tuple[Prefix, Value] | None:
        """The narrowest entry that contains a prefix: the longest match."""
        return next(
            (
                (node.prefix, node.entry[0])
                for node in reversed(self._path(prefix))
                if node.entry is not None
            ),
            None,
        )

    def within(self, prefix: Prefix) -> Iterator[tuple[Prefix, Value]]:
        """The entries that a prefix contains (itself included), sorted."""
        waiting = self._beneath(prefix)
        while waiting:
            node = waiting.pop()
            if node.entry is not None:
                yield node.prefix, node.entry[0]
            waiting += [child for child in reversed(node.children) if child is not None]

    def outermost(self, prefix: Prefix) -> Iterator[Prefix]:
        """The entries that a prefix contains and no other of them does, sorted."""
        waiting = self._beneath(prefix)
        while waiting:
            node = waiting.pop()
            if node.entry is not None:
                yield node.prefix
            else:
                waiting += [child for child in reversed(node.children) if child is not None]

    def _path(self, prefix: Prefix) -> list[_Node[Value]]:
        """The nodes that contain a prefix, from the root down."""
        version, address, length = prefix
        shift = WIDTH[version] - length
        node = self._roots[version]
        path = [node]
        while node.shift > shift:
            child = node.children[address >> (node.shift - 1) & 1]
            if child is None or child.shift < shift or (child.address ^ address) >> child.shift:
                break
            node = child
            path.append(node)
        return path

    def _beneath(self, prefix: Prefix) -> list[_Node[Value]]:
        """The one topmost node within a prefix, if there is one."""
        node = self._path(prefix)[-1]
        if node.prefix == prefix:
            return [node]
        child = node.children[_side(node, prefix)]
        return [child] if child is not None and prefix.contains(child.prefix) else []


def _insert(parent: _Node[Value], prefix: Prefix) -> _Node[Value]:
    """A new node for a prefix, under the narrowest node that contains it."""
    new: _Node[Value] = _Node(prefix)
    side = _side(parent, prefix)
    child = parent.children[side]
    parent.children[side] = new
    if child is None:
        return new
    if prefix.contains(child.prefix):
        new.children[_side(new, child.prefix)] = child
        return new
    fork: _Node[Value] = _Node(_common(prefix, child.prefix))
    for node in (new, child):
        fork.children[_side(fork, node.prefix)] = node
    parent.children[side] = fork
    return new


def _prune(path: list[_Node[Value]]) -> None:
    """Take out nodes at a path's end that are neither entry nor fork; the root stays."""
    while len(path) > 1:
        node = path.pop()
        below = [child for child in node.children if child is not None]
        if node.entry is not None or len(below) == 2:
            return
        parent = path[-1]
        parent.children[_side(parent, node.prefix)] = below[0] if below else None


def _side(node: _Node[Value], prefix: Prefix) -> int:
    """On which side of a node a narrower prefix lies: its next bit."""
    return prefix.address >> (node.shift - 1) & 1


def _common(one: Prefix, other: Prefix) -> Prefix:
    """The narrowest prefix that contains both of two that differ within their lengths."""
    length = WIDTH[one.version] - (one.address ^ other.address).bit_length()
    return Prefix(one.version, one.address, length).network
