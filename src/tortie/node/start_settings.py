"""What the environment of a node's start says, as checked values. Pure.

Names, spellings and defaults are calico-node's. What makes no sense is refused before anything is
written, with the variable and what it may be.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from tortie.api import checks
from tortie.daemon.values import node_name
from tortie.node.addressing import Wanted, wanted_addresses
from tortie.node.ranges import named_range
from tortie.selectors import parse

NODENAME_FILE = Path("/var/lib/calico/nodename")
SHUTDOWN_FILE = Path("/var/lib/calico/shutdownTS")
_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
_LEVEL_NAMES = {"WARN": "WARNING", "PANIC": "FATAL"}
_BACKENDS = ("bird", "vxlan", "none")
_FALSE = frozenset({"false", "0", "no", "n", "f"})
_BLOCK_SIZES = {4: range(20, 33), 6: range(116, 129)}
_BLOCK_SIZE = {4: 26, 6: 122}
_WORD = re.compile(r"[A-Za-z0-9_.-]+")

Mode = Literal["Never", "CrossSubnet", "Always"]
_MODES: Mapping[str, Mode] = {
    "": "Never",
    "off": "Never",
    "never": "Never",
    "crosssubnet": "CrossSubnet",
    "cross-subnet": "CrossSubnet",
    "always": "Always",
}


class PoolSettings(NamedTuple):
    """The default pool of one IP version. `cidr` empty: found out."""

    cidr: str
    ipip: Mode
    vxlan: Mode
    block_size: int
    nat_outgoing: bool
    node_selector: str
    disable_bgp_export: bool


class StartSettings(NamedTuple):
    """A start. `pools`: by IP version; empty: none are to be made, and `no_pools` says why.

    `reference`: the node's name at Kubernetes, "" where nobody said that it has one.
    """

    node: str
    addresses: Wanted
    backend: str
    as_number: str
    pools: Mapping[int, PoolSettings]
    no_pools: str
    cluster_types: tuple[str, ...]
    waits: bool
    reference: str
    log_level: str
    nodename_file: Path
    shutdown_file: Path

    @property
    def kubernetes_name(self) -> str:
        """The name of its Node at Kubernetes, where there is one."""
        return self.reference or self.node

    @property
    def is_networking(self) -> bool:
        """Whether we do the networking; else only policy, over somebody else's."""
        return self.backend != "none"


def name_of(environ: Mapping[str, str], given: str | None, host: str) -> str:
    """This node's name: an option, NODENAME, HOSTNAME, the machine's. Raises ValueError."""
    for text in (given, environ.get("NODENAME"), environ.get("HOSTNAME"), host):
        if text and text.strip():
            return node_name(text.strip())
    raise ValueError("this node has no name: set NODENAME")


def start_settings(
    environ: Mapping[str, str], given: str | None = None, host: str = ""
) -> StartSettings:
    """Read them. `given` is the name on the command line, `host` the machine's. Raises ValueError
    that names the variable."""
    backend = _word(environ, "CALICO_NETWORKING_BACKEND", _BACKENDS, "bird")
    pools, no_pools = _pools(environ, backend)
    reference = environ.get("CALICO_K8S_NODE_REF", "").strip()
    return StartSettings(
        node=name_of(environ, given, host),
        addresses=wanted_addresses(environ),
        backend=backend,
        as_number=_as_number(environ.get("AS", "").strip()),
        pools=pools,
        no_pools=no_pools,
        cluster_types=_cluster_types(environ.get("CLUSTER_TYPE", "")),
        waits=environ.get("WAIT_FOR_DATASTORE", "").strip() == "true",
        reference=_named("CALICO_K8S_NODE_REF", reference) if reference else "",
        log_level=_level(environ.get("CALICO_STARTUP_LOGLEVEL", "")),
        nodename_file=_file(environ, "CALICO_NODENAME_FILE", NODENAME_FILE),
        shutdown_file=_file(environ, "CALICO_SHUTDOWN_TIMESTAMP_FILE", SHUTDOWN_FILE),
    )


def _pools(environ: Mapping[str, str], backend: str) -> tuple[Mapping[int, PoolSettings], str]:
    named = [
        f"CALICO_IPV{one}POOL_CIDR" for one in (4, 6) if environ.get(f"CALICO_IPV{one}POOL_CIDR")
    ]
    if environ.get("NO_DEFAULT_POOLS", "").strip().lower() == "true":
        if named:
            raise ValueError(
                f"NO_DEFAULT_POOLS is true, and {' and '.join(named)} is set: drop one"
            )
        return {}, "NO_DEFAULT_POOLS is true"
    pools = {version: _pool(environ, version) for version in (4, 6) if _is_on(environ, version)}
    if backend == "none":
        pools = {version: pool for version, pool in pools.items() if pool.cidr}
    if pools:
        return pools, ""
    return {}, "CALICO_NETWORKING_BACKEND is none: another plugin gives out addresses"


def _is_on(environ: Mapping[str, str], version: int) -> bool:
    return version == 4 or environ.get("FELIX_IPV6SUPPORT", "").lower() not in _FALSE


def _pool(environ: Mapping[str, str], version: int) -> PoolSettings:
    def said(what: str) -> str:
        return environ.get(f"CALICO_IPV{version}POOL_{what}", "").strip()

    def named(what: str) -> str:
        return f"CALICO_IPV{version}POOL_{what}"

    ipip = _mode(named("IPIP"), said("IPIP")) if version == 4 else "Never"
    vxlan = _mode(named("VXLAN"), said("VXLAN"))
    if "Never" not in (ipip, vxlan):
        raise ValueError(f"{named('IPIP')} and {named('VXLAN')} are both on: choose one")
    block_size = _block_size(named("BLOCK_SIZE"), said("BLOCK_SIZE"), version)
    return PoolSettings(
        cidr=_cidr(said("CIDR"), version, block_size),
        ipip=ipip,
        vxlan=vxlan,
        block_size=block_size,
        nat_outgoing=_switch(said("NAT_OUTGOING"), version == 4),
        node_selector=_selector(named("NODE_SELECTOR"), said("NODE_SELECTOR")),
        disable_bgp_export=_switch(said("DISABLE_BGP_EXPORT"), False),
    )


def _mode(variable: str, text: str) -> Mode:
    found = _MODES.get(text.lower())
    if found is None:
        raise ValueError(f"{variable} is {text!r}: use Always, CrossSubnet or Never")
    return found


def _switch(text: str, otherwise: bool) -> bool:
    """As calico-node reads it: whatever is not a no is a yes."""
    return text.lower() not in _FALSE if text else otherwise


def _block_size(variable: str, text: str, version: int) -> int:
    if not text:
        return _BLOCK_SIZE[version]
    allowed = _BLOCK_SIZES[version]
    if not (text.isascii() and text.isdigit() and int(text) in allowed):
        raise ValueError(f"{variable} is {text!r}: use a number from {allowed[0]} to {allowed[-1]}")
    return int(text)


def _cidr(text: str, version: int, block_size: int) -> str:
    """The range of a pool; "" where none is said."""
    if text and named_range(text, version).length > block_size:
        pool = f"CALICO_IPV{version}POOL"
        raise ValueError(
            f"{pool}_CIDR: {text} is smaller than one block (/{block_size}): give a larger range,"
            f" or smaller blocks by {pool}_BLOCK_SIZE"
        )
    return text


def _selector(variable: str, text: str) -> str:
    try:
        parse(text)
    except ValueError as problem:
        raise ValueError(f"{variable}: {problem}") from None
    return text or "all()"


def _as_number(text: str) -> str:
    if text:
        try:
            number = checks.as_number(text)
        except ValueError as problem:
            raise ValueError(f"AS: {problem}") from None
        if number == 0:
            raise ValueError("AS: 0 is nobody's number (RFC 7607): leave it out, or choose another")
    return text


def _cluster_types(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError(
                f"CLUSTER_TYPE: {word!r}: use words of letters, digits, '-', with commas"
            )
    return words


def _word(
    environ: Mapping[str, str], variable: str, allowed: tuple[str, ...], otherwise: str
) -> str:
    text = environ.get(variable, "").strip().lower() or otherwise
    if text not in allowed:
        raise ValueError(f"{variable} is {text!r}: use one of {', '.join(allowed)}")
    return text


def _level(text: str) -> str:
    folded = text.strip().upper()
    found = _LEVEL_NAMES.get(folded, folded) or "INFO"
    if found not in _LEVELS:
        raise ValueError(f"CALICO_STARTUP_LOGLEVEL is {text!r}: use one of {', '.join(_LEVELS)}")
    return found


def _named(variable: str, text: str) -> str:
    try:
        return node_name(text)
    except ValueError as problem:
        raise ValueError(f"{variable}: {problem}") from None


def _file(environ: Mapping[str, str], variable: str, otherwise: Path) -> Path:
    text = environ.get(variable, "")
    if text and not text.startswith("/"):
        raise ValueError(f"{variable} is {text!r}: use an absolute path")
    return Path(text) if text else otherwise
