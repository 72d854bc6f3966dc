"""Selectors and labels from a small world, so that they meet often."""

from hypothesis import strategies as st

from tortie.selectors import Selector, parse
from tortie.selectors.tree import quote

KEYS = ("app", "role", "k8s.io/name", "all", "in")
VALUES = ("", "web", "we", "db", "it's", 'say "x"')

keys = st.sampled_from(KEYS)
values = st.sampled_from(VALUES)
labels = st.dictionaries(keys, values, max_size=len(KEYS))

_blank = st.sampled_from(["", " ", "\t", "  "])
_literal = values.map(quote)
_list = st.builds(
    lambda items, blank, comma: "{" + f"{blank},{blank}".join(items) + comma * bool(items) + "}",
    st.lists(_literal, max_size=3),
    _blank,
    st.sampled_from(["", ","]),
)
_operator = st.sampled_from(
    ["==", "!=", " contains ", "starts with", " startswith", " ends with ", "endswith"]
)
_leaf = st.one_of(
    st.builds(lambda key, blank: f"has({blank}{key}{blank})", keys, _blank),
    st.sampled_from(["all", "all()", "global", "global( )"]),
    st.builds(lambda key, operator, text: f"{key} {operator} {text}", keys, _operator, _literal),
    st.builds(
        lambda key, operator, items: f"{key} {operator} {items}",
        keys,
        st.sampled_from(["in", "not in", "notin"]),
        _list,
    ),
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.builds(
        lambda parts, operator, blank: f"{blank}{operator}{blank}".join(parts),
        st.lists(inner, min_size=2, max_size=3),
        st.sampled_from(["&&", "||"]),
        _blank,
    )
    return st.one_of(
        joined, inner.map("({})".format), inner.map("!({})".format), inner.map("!{}".format)
    )


selector_texts = st.recursive(_leaf, _larger, max_leaves=6)
selectors: st.SearchStrategy[Selector] = selector_texts.map(parse)
