"""A parsed selector, and how to get one."""

from base64 import urlsafe_b64encode
from functools import cached_property, lru_cache

from msgspec import Struct
from msgspec.structs import replace

from tortie.selectors.matching import Labels, Matcher, matcher
from tortie.selectors.parser import parse_tree
from tortie.selectors.restrictions import Restrictions, restrictions
from tortie.selectors.tree import All, And, Global, Leaf, Node, key_of, leaves, map_leaves


class Selector(Struct, frozen=True, dict=True, eq=False):
    """A selector. Equal and hashed by its canonical text; all else is worked out when asked for."""

    tree: Node

    def matches(self, labels: Labels) -> bool:
        """Whether the thing that has these labels is selected."""
        return self._matcher(labels)

    @cached_property
    def canonical(self) -> str:
        """The one text of all selectors that differ in blanks, quotes or spare parentheses only."""
        return str(self.tree)

    @cached_property
    def uid(self) -> str:
        """ "s:" and 38 characters: Calico's id of the selector, for sets named by it."""
        from hashlib import sha224  # 2 ms that a command without policies need not spend

        # "surrogatepass": JSON may carry a lone surrogate, and an id must not fail on it.
        digest = sha224(f"s:{self.canonical}".encode(errors="surrogatepass")).digest()
        return "s:" + urlsafe_b64encode(digest).rstrip(b"=").decode()

    @cached_property
    def keys(self) -> frozenset[str]:
        """The labels that decide whether it matches."""
        return frozenset([key for leaf in leaves(self.tree) if (key := key_of(leaf)) is not None])

    @cached_property
    def mentions_global(self) -> bool:
        """Whether `global()` is anywhere in it; only a namespaceSelector may be just that."""
        return any(isinstance(leaf, Global) for leaf in leaves(self.tree))

    @cached_property
    def restrictions(self) -> Restrictions | None:
        """What it demands of each label; None where it can match nothing at all."""
        return restrictions(self.tree)

    def with_prefix(self, prefix: str) -> "Selector":
        """The same selector with every label's name prefixed, as for labels of a namespace."""
        return Selector(map_leaves(self.tree, lambda leaf: _prefixed(leaf, prefix)))

    @cached_property
    def _matcher(self) -> Matcher:
        return matcher(self.tree)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __str__(self) -> str:
        return self.canonical


ALL = Selector(All())
GLOBAL = Selector(Global())


@lru_cache(maxsize=16384)
def parse(text: str) -> Selector:
    """The selector of a text; blank text is `all()`.

    Raises SelectorError, with the place and what was expected there.
    """
    return Selector(parse_tree(text))


def all_of(*selectors: Selector) -> Selector:
    """What every one of these selectors matches; `ALL` of none."""
    trees = tuple([each.tree for each in selectors if not isinstance(each.tree, All)])
    if len(trees) > 1:
        return Selector(And(trees))
    return Selector(trees[0]) if trees else ALL


def _prefixed(leaf: Leaf, prefix: str) -> Leaf:
    if isinstance(leaf, All | Global):
        return leaf
    return replace(leaf, key=prefix + leaf.key)
