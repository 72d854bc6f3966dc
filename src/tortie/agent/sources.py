"""What the node itself says of its settings: the environment, felix.cfg, the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tortie.agent.settings import SettingsError
from tortie.daemon import values
from tortie.engine.configuration import Origin, Source, from_environment, from_file
from tortie.engine.configuration.parameters import BY_NAME

DEFAULT_FILE = "/etc/calico/felix.cfg"

_NODE = "felixhostname"
_STARTER = "the command line or the machine's name"
# The datastore's and the fan-out's are read, and checked, by those who open them; the first two
# are ours, not Calico's.
_ELSEWHERE = frozenset(
    {
        *("datastore", "rundir"),
        *(name for name, known in BY_NAME.items() if known.parameter.local and name != _NODE),
    }
)


class Local(NamedTuple):
    """`sources` for `Settings`; `environ` also has what the file says, for other readers."""

    sources: tuple[Source, ...]
    environ: Mapping[str, str]


def local_sources(environ: Mapping[str, str], node: str, file: str = "") -> Local:
    """The environment over a file: `file`, else /etc/calico/felix.cfg where there is one.

    `node` is this node's name where neither says it. Raises SettingsError for a file that can't be
    read, and for a name that no node can have: without what it says the agent might guard other
    interfaces than are there.
    """
    variables, read = from_environment(environ), _file(file)
    named = next(filter(None, map(_node_of, (variables, read))), (node, _STARTER))
    override = Source(Origin.OVERRIDE, named[1], {"FelixHostname": _node_name(*named)})
    present = {name.casefold() for name in variables.texts}
    filled = {
        f"FELIX_{name}": text for name, text in read.texts.items() if name.casefold() not in present
    }
    return Local((override, *map(_without_others, (variables, read))), {**environ, **filled})


def _file(path: str) -> Source:
    try:
        text = Path(path or DEFAULT_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        if path:
            raise SettingsError(f"{path}: there is no such file of settings") from None
        return Source(Origin.FILE, DEFAULT_FILE, {})
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path or DEFAULT_FILE} can't be read: {problem}") from None
    found = from_file(path or DEFAULT_FILE, text)
    if found.problems:
        raise SettingsError("\n".join(found.problems).replace("; it is left out", ""))
    return found


def _node_of(source: Source) -> tuple[str, str] | None:
    """The name, and who said it."""
    for name, text in source.texts.items():
        if name.casefold() == _NODE and text.strip():
            return text.strip(), source.title
    return None


def _node_name(text: str, title: str) -> str:
    """As Nodes have it: a machine may write its own name in capitals."""
    try:
        return values.node_name(text)
    except ValueError as problem:
        raise SettingsError(f"{title}: the node's name: {problem}; set it with --node") from None


def _without_others(source: Source) -> Source:
    texts = {name: text for name, text in source.texts.items() if name.casefold() not in _ELSEWHERE}
    return source._replace(texts=texts)
