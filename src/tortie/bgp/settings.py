"""What the process is told by its environment; names are Calico's where it has them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from tortie.bgp.build import Given, hashed_id
from tortie.bgp.words import interface_pattern
from tortie.daemon import values
from tortie.net import parse_address

_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NAMESPACE = "kube-system"

_T = TypeVar("_T")


class BgpSettingsError(ValueError):
    """The daemon must not run with what is set; `str()` has one line for each reason."""


class BgpSettings(NamedTuple):
    """`secrets` is a folder, "" for the Kubernetes API's in `namespace`."""

    node: str
    given: Given
    secrets: str
    namespace: str


def bgp_settings(environ: Mapping[str, str], node: str) -> BgpSettings:
    """Read CALICO_ROUTER_ID, FELIX_INTERFACEPREFIX and TORTIE_BGP_SECRETS. `node` is its name.

    Raises BgpSettingsError.
    """
    given = {name.upper(): text.strip() for name, text in environ.items()}
    problems: list[str] = []

    def read(name: str, reader: Callable[[str], _T], default: _T) -> _T:
        try:
            return reader(given[name]) if given.get(name) else default
        except ValueError as problem:
            problems.append(f"{name}={given[name]!r}: {problem}")
            return default

    found = BgpSettings(
        _node(node, problems),
        Given(
            read("CALICO_ROUTER_ID", lambda text: _router_id(text, node), None),
            read("FELIX_INTERFACEPREFIX", _prefixes, ("cali",)),
        ),
        given.get("TORTIE_BGP_SECRETS", ""),
        given.get("TORTIE_BGP_SECRETS_NAMESPACE", "") or _own_namespace(),
    )
    if problems:
        raise BgpSettingsError("\n".join(problems))
    return found


def _node(text: str, problems: list[str]) -> str:
    """A node's name, as Nodes have it."""
    try:
        return values.node_name(text)
    except ValueError as problem:
        problems.append(f"the node's name: {problem}; set it with --node")
        return text


def _router_id(text: str, node: str) -> int | None:
    if text == "hash":
        return hashed_id(node)
    version, address = parse_address(text)
    if version != 4 or not address:
        raise ValueError("use an IPv4 address, or hash")
    return address


def _prefixes(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for prefix in found:
        if "*" in prefix:
            raise ValueError("use the beginnings of interfaces' names, with commas between")
        interface_pattern(prefix + "*")
    return found or ("cali",)


def _own_namespace() -> str:
    """Where the daemon runs, if it is a pod: it has no business with other namespaces' Secrets."""
    try:
        return _ACCOUNT_NAMESPACE.read_text(encoding="ascii").strip() or _NAMESPACE
    except (OSError, UnicodeDecodeError):
        return _NAMESPACE
