"""Packets to services with kube-proxy in IPVS mode: policy for what never passes FORWARD. Pure.

What they are and how they go, `tortie.dataplane.nftables.ipvs` says; chains and marks are the same:

    filter INPUT   cali-forward-check → cali-to-node-ports, cali-set-endpoint-mark
    filter OUTPUT  cali-forward-endpoint-mark → cali-from-endpoint-mark → cali-fw-<if>,
                   cali-fhfw-<name>; cali-to-wl-dispatch, cali-to-hep-forward
"""

from collections.abc import Iterator

from tortie.dataplane.iptables.chains import Chain, clearing, marked
from tortie.dataplane.iptables.hosts import TO_FORWARD
from tortie.dataplane.iptables.names import ChainName, Way, endpoint_chain, host_chain
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.policy.nets import net_text
from tortie.dataplane.policy.plan import Passing
from tortie.dataplane.policy.settings import Action
from tortie.net.protocols import SCTP, TCP, UDP
from tortie.policy.program import EndpointId

FROM_MARK_CHAIN = ChainName("cali-from-endpoint-mark")
_CHECK, _NODE_PORTS = ChainName("cali-forward-check"), ChainName("cali-to-node-ports")
_SET_MARK, _FORWARD_MARK = (
    ChainName("cali-set-endpoint-mark"),
    ChainName("cali-forward-endpoint-mark"),
)
_DISPATCH_TO = ChainName("cali-to-wl-dispatch")


def ipvs_chains(passing: Passing, settings: IptablesSettings) -> list[Chain]:
    """Every chain that is there for IPVS alone."""
    return [
        Chain(_NODE_PORTS, tuple(_node_ports(settings))),
        Chain(_SET_MARK, tuple(_set_mark(passing, settings))),
        Chain(_CHECK, tuple(_check(passing))),
        Chain(FROM_MARK_CHAIN, tuple(_from_mark(passing, settings))),
        Chain(_FORWARD_MARK, tuple(_forward(passing, settings))),
    ]


def coming_in(settings: IptablesSettings) -> Iterator[str]:
    """What INPUT asks first: what passes through is not asked as if it ended here."""
    yield clearing(settings.marks.endpoints)
    yield f"-j {_CHECK}"
    yield f"{passing_mark(settings)} -j RETURN"


def going_out(settings: IptablesSettings) -> str:
    """What OUTPUT asks first; a packet that passes through is none of the node's own."""
    return f"{passing_mark(settings)} -g {_FORWARD_MARK}"


def passing_mark(settings: IptablesSettings) -> str:
    """The packet is on its way through the node."""
    return f"-m mark ! --mark 0x0/{settings.marks.endpoints:#x}"


def _check(passing: Passing) -> Iterator[str]:
    yield "-i lo -j RETURN"
    for own in passing.addresses:
        yield f"-d {net_text(own)} -g {_NODE_PORTS}"
    yield f"-m addrtype --dst-type LOCAL -g {_SET_MARK}"


def _node_ports(settings: IptablesSettings) -> Iterator[str]:
    for protocol in (TCP, UDP, SCTP):
        for ports in settings.node_ports:
            first, last = map(int, ports)
            listed = f"{first}:{last}" if first != last else str(first)
            yield f"-p {int(protocol)} -m multiport --dports {listed} -g {_SET_MARK}"


def _set_mark(passing: Passing, settings: IptablesSettings) -> Iterator[str]:
    mask = passing.marks.mask
    if not mask:  # no bits are left in the mark: what can't be told apart must not pass
        yield "-j DROP"
    for interface, mark in sorted(passing.marks.marks.items()):
        yield f"-i {interface} -j MARK --set-xmark {mark:#x}/{mask:#x}"
    yield f"{passing_mark(settings)} -j RETURN"
    for prefix in settings.interface_prefixes:
        yield f"-i {prefix}+ -j DROP"
    yield f"-j MARK --set-xmark {passing.marks.others:#x}/{mask:#x}"


def _from_mark(passing: Passing, settings: IptablesSettings) -> Iterator[str]:
    """Policy of whom the packet came from; a mark that is nobody's is a workload that went."""
    marks, mask, every = passing.marks.marks, passing.marks.mask, passing.hosts.every
    others = "-j RETURN" if every is None else f"-g {_forwarded(every)}"
    yield f"-m mark --mark {passing.marks.others:#x}/{mask:#x} {others}"
    for name, host in sorted(passing.hosts.named.items()):
        if name in marks:
            yield f"-m mark --mark {marks[name]:#x}/{mask:#x} -g {_forwarded(host)}"
    yield clearing(settings.marks.decided)
    for name in passing.workloads:
        if name in marks:
            chain = endpoint_chain(Way.FROM, name)
            yield f"-m mark --mark {marks[name]:#x}/{mask:#x} -j {chain}"
    yield f"{marked(settings.marks.accept)} -j RETURN"
    yield "-j DROP"


def _forwarded(host: EndpointId) -> ChainName:
    return host_chain("cali-fhfw-", host)


def _forward(passing: Passing, settings: IptablesSettings) -> Iterator[str]:
    yield f"-j {FROM_MARK_CHAIN}"
    for prefix in settings.interface_prefixes:
        yield f"-o {prefix}+ -j {_DISPATCH_TO}"
    yield f"-j {TO_FORWARD}"
    yield clearing(passing.marks.mask)
    if settings.filter_allow is Action.ACCEPT:
        yield f"{marked(settings.marks.accept)} -j ACCEPT"
