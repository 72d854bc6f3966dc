"""Which variables of calico-node's start-up there are, who reads each, and why some are not read.

Pure. A variable that nobody acts on is never passed over in silence: who sets it is told why.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

START, AGENT, BGP, DATASTORE, CNI = (
    "tortie node start",
    "the agent",
    "tortie bgp",
    "the datastore's settings",
    "tortie cni install",
)


class Variable(NamedTuple):
    """`readers` act on it; with none, `refusal` says why (for these `harmless` values nothing)."""

    name: str
    readers: tuple[str, ...]
    refusal: str = ""
    harmless: frozenset[str] = frozenset()


def _read(by: tuple[str, ...], *names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, by) for name in names)


_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})

VARIABLES = (
    *_read((START, AGENT, BGP), "NODENAME"),
    *_read((START, AGENT), "IP", "IP6", "IP_AUTODETECTION_METHOD", "IP6_AUTODETECTION_METHOD"),
    *_read((START, AGENT), "DISABLE_NODE_IP_CHECK"),
    *_read((AGENT,), "AUTODETECT_POLL_INTERVAL"),
    *_read((START,), "AS", "CALICO_NETWORKING_BACKEND", "NO_DEFAULT_POOLS", "CLUSTER_TYPE"),
    *_read((BGP,), "CALICO_ROUTER_ID"),
    *_read(
        (START,),
        *(
            f"CALICO_IPV{version}POOL_{what}"
            for version in (4, 6)
            for what in (
                *("CIDR", "VXLAN", "BLOCK_SIZE", "NAT_OUTGOING", "NODE_SELECTOR"),
                "DISABLE_BGP_EXPORT",
            )
        ),
        "CALICO_IPV4POOL_IPIP",
    ),
    *_read((START,), "WAIT_FOR_DATASTORE", "CALICO_K8S_NODE_REF", "CALICO_STARTUP_LOGLEVEL"),
    *_read((START,), "CALICO_NODENAME_FILE"),
    *_read((DATASTORE,), "KUBECONFIG", "DATASTORE_TYPE"),
    *_read((CNI,), "CNI_TOKEN_REFRESH_INTERVAL"),
    Variable(
        "CALICO_MANAGE_CNI",
        (),
        "the plugin holds no credentials: it asks the agent on this node; a kubeconfig for other"
        " plugins is kept fresh by `tortie cni install --watch`",
        _FALSE,
    ),
    Variable(
        "CALICO_DISABLE_FILE_LOGGING",
        (),
        "logs go to standard error, and to a file only where LogFilePath names one",
        _TRUE,
    ),
    Variable(
        "CALICO_DISABLE_FELIX",
        (),
        "each daemon is a command of its own: to have no agent, don't start `tortie agent`",
        _FALSE,
    ),
    Variable(
        "CALICO_IPV6POOL_IPIP",
        (),
        "IP-in-IP carries IPv4 only: use CALICO_IPV6POOL_VXLAN",
        frozenset({"never", "off"}),
    ),
    Variable(
        "VXLAN_VNI",
        (),
        "it is for nodes with Windows; here FELIX_VXLANVNI or FelixConfiguration's vxlanVNI counts",
    ),
)


def doubtful(environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each switch that says neither yes nor no: as with calico-node, that is a yes."""
    for version in (4, 6):
        for what in ("NAT_OUTGOING", "DISABLE_BGP_EXPORT"):
            name = f"CALICO_IPV{version}POOL_{what}"
            value = environ.get(name, "").strip()
            if value and value.lower() not in _TRUE | _FALSE:
                yield f"{name} is {value!r}, and counts as true: write true or false"


def unread(environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable that is set and that nothing acts on."""
    for variable in VARIABLES:
        value = environ.get(variable.name, "").lower()
        if value and not variable.readers and value not in variable.harmless:
            yield f"{variable.name} is not used: {variable.refusal}"
