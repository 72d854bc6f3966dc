"""Where parameters are set: the environment, a file, FelixConfigurations. Each as plain text."""

from collections.abc import Iterable, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as IniError
from enum import IntEnum
from typing import NamedTuple

from msgspec import to_builtins

from tortie.api.calico.felix_configuration import FelixConfiguration
from tortie.engine.configuration.durations import duration
from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.parameters import BY_NAME
from tortie.engine.configuration.readers import MILLISECONDS, SECONDS
from tortie.selectors import SelectorError, parse

_VARIABLE = "FELIX_"


class Origin(IntEnum):
    """Who set a parameter; the first that did wins."""

    OVERRIDE = 1  # the program itself
    ENVIRONMENT = 2
    FILE = 3
    NODE = 4  # the FelixConfiguration "node.<name>"
    SELECTOR = 5  # FelixConfigurations whose nodeSelector matches; the oldest first
    CLUSTER = 6  # the FelixConfiguration "default"
    DEFAULT = 7

    @property
    def is_local(self) -> bool:
        """Whether it is the node's own, not the datastore's."""
        return self <= Origin.FILE


class Source(NamedTuple):
    """Names, in any case, and texts. `title` is what to call it before people.

    `problems` are what could not be read of it at all.
    """

    origin: Origin
    title: str
    texts: Mapping[str, str]
    problems: tuple[str, ...] = ()


def from_environment(environ: Mapping[str, str]) -> Source:
    """FELIX_* variables, in any case. Empty ones count as not set."""
    texts = {
        name[len(_VARIABLE) :]: text
        for name, text in sorted(environ.items())
        if name.upper().startswith(_VARIABLE)
    }
    return Source(Origin.ENVIRONMENT, "the environment", texts)


def from_file(title: str, text: str) -> Source:
    """What felix.cfg holds: the section [global], `Name = value` a line."""
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except IniError as error:
        reason = " ".join(str(error).split())
        return Source(Origin.FILE, title, {}, (f"{title}: {reason}; it is left out",))
    found = dict(parser["global"]) if parser.has_section("global") else {}
    return Source(Origin.FILE, title, found)


def from_resources(
    configurations: Iterable[FelixConfiguration], node: str, labels: Mapping[str, str]
) -> list[Source]:
    """The FelixConfigurations that are for a node with these labels."""
    found = []
    for each in sorted(configurations, key=_age):
        name, selector = each.metadata.name, each.spec.node_selector
        title = f"FelixConfiguration({name})"
        if name == "default":
            found.append(Source(Origin.CLUSTER, title, texts_of(each)))
        elif name == f"node.{node}":
            found.append(Source(Origin.NODE, title, texts_of(each)))
        elif selector and not name.startswith("node."):
            found += _selected(each, title, selector, labels)
    return found


def _age(configuration: FelixConfiguration) -> tuple[bool, str, str]:
    """The oldest first; of equal age by name. One that does not tell its age is the youngest."""
    made = configuration.metadata.creation_timestamp
    text = "" if made is None else str(made)
    return not text, text, configuration.metadata.name


def _selected(
    each: FelixConfiguration, title: str, selector: str, labels: Mapping[str, str]
) -> Sequence[Source]:
    try:
        matches = parse(selector).matches(labels)
    except SelectorError as error:
        problem = f"{title}: spec.nodeSelector: {error.reason}; it is for no node"
        return [Source(Origin.SELECTOR, title, {}, (problem,))]
    return [Source(Origin.SELECTOR, title, texts_of(each))] if matches else []


def texts_of(configuration: FelixConfiguration) -> dict[str, str]:
    """What a FelixConfiguration sets, as an environment would say it.

    A list that is there and empty says "none". Durations become seconds; what can't be read is
    left as it is, so that reading it names it.
    """
    given, noted = to_builtins(configuration.spec), configuration.metadata.annotations
    texts = {}
    for _, parameter in BY_NAME.values():
        value = noted.get(parameter.annotation) if parameter.own else given.get(parameter.field)
        text = "" if value is None else _text(parameter, value)
        if text:
            texts[parameter.name] = text
    return texts


def _text(parameter: Parameter, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case {"min": first, "max": last}:
            return f"{first}-{last}"
        case dict():
            return ",".join(f"{key}={each}" for key, each in value.items())
        case list() | tuple():
            return ",".join(map(_item, value)) or "none"
        case str() if parameter.reader in (SECONDS, MILLISECONDS):
            return _time(parameter, value)
    return str(value)


def _item(value: object) -> str:
    match value:
        case {"port": port, **rest}:
            net = str(rest.get("net") or "")
            net = f"[{net}]" if ":" in net else net
            return ":".join(filter(None, (str(rest.get("protocol") or "tcp"), net, str(port))))
        case {"name": name, "timeout": timeout}:
            return f"{name}={timeout}"
        case {"min": first, "max": last}:
            return f"{first}-{last}"
    return str(value)


def _time(parameter: Parameter, text: str) -> str:
    try:
        seconds = duration(text) if text else None
    except ValueError:
        return text
    if seconds is None:
        return ""
    return f"{seconds * (1000 if parameter.reader is MILLISECONDS else 1):.9f}"
