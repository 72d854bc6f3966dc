"""Matrices of any lab."""

from hypothesis import strategies as st

from tortie.lab.matrix import Answer, Flow, Matrix, Party, Port, flows_between

_labels = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
names = st.one_of(_labels, st.builds(lambda n, p: f"{n}/{p}", _labels, _labels))
ports = st.builds(Port, st.sampled_from(["tcp", "udp"]), st.integers(1, 65535))


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """Some parties, with any outcome of each flow between them."""
    some = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    shared = draw(st.lists(ports, min_size=1, max_size=4, unique=True))
    parties = tuple(
        Party(name, "10.0.0.1", tuple(draw(st.lists(st.sampled_from(shared), unique=True))))
        for name in some
    )
    flows = flows_between(parties)
    return Matrix(parties, {flow: _answer(draw, flow) for flow in flows})


def _answer(draw: st.DrawFn, flow: Flow) -> Answer:
    return Answer(flow.destination, "10.0.0.9", 1.0) if draw(st.booleans()) else Answer()
