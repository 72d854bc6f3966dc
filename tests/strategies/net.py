"""Prefixes that often contain one another, and any at all."""

from hypothesis import strategies as st

from tortie.net import Prefix

versions = st.sampled_from([4, 6])


@st.composite
def prefixes(draw: st.DrawFn) -> Prefix:
    """Any prefix with its host bits zero."""
    version = draw(versions)
    width = 32 if version == 4 else 128
    length = draw(st.integers(0, width))
    return Prefix(version, draw(st.integers(0, (1 << width) - 1)), length).network


@st.composite
def near_prefixes(draw: st.DrawFn) -> Prefix:
    """A prefix of a small world: few addresses, lengths near both ends."""
    version = draw(versions)
    width = 32 if version == 4 else 128
    length = draw(st.sampled_from([0, 1, 2, 3, 8, width - 3, width - 2, width - 1, width]))
    high, low = draw(st.integers(0, 7)), draw(st.integers(0, 7))
    return Prefix(version, high << (width - 3) | low, length).network
