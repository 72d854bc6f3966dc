"""Which of a machine's addresses is the node's: Calico's methods, and why it is that one. Pure.

What was looked at is told with the answer, since the wrong address is hard to see otherwise: each
interface's each address, and why it was passed over.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tortie.net import Prefix, parse_address, parse_network

METHODS = (
    "first-found, can-reach=DESTINATION, interface=REGEX,…, skip-interface=REGEX,…, cidr=CIDR,… or"
    " kubernetes-internal-ip"
)
# Interfaces that are never a machine's own way out: containers', bridges', tunnels'.
_EXCLUDED = re.compile(
    r"^docker|^cbr|^dummy|^podman|^virbr|^lxcbr|^veth|^lo|^br-|^cali|^tunl|^flannel|^kube-ipvs|^cni"
    r"|^vxlan\.calico|^vxlan-v6\.calico|^wireguard\.cali|^wg-v6\.cali|^nodelocaldns"
)
_LOCAL = {
    4: (parse_network("127.0.0.0/8"), parse_network("169.254.0.0/16")),
    6: (parse_network("::1/128"), parse_network("fe80::/10")),
}


class Held(NamedTuple):
    """One address of one interface, with its subnet's length; in the kernel's order."""

    interface: str
    address: Prefix
    is_up: bool


class Method(NamedTuple):
    """How to choose: `name` is the method's, `words` what it is told."""

    name: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}={','.join(self.words)}" if self.words else self.name


class Look(NamedTuple):
    """What was said of one address: empty, it is the one."""

    held: Held
    objection: str


class Detection(NamedTuple):
    """The node's address (None: there is none), why it is that one, and all that was looked at."""

    address: Prefix | None
    reason: str
    looks: tuple[Look, ...]


class Surroundings(NamedTuple):
    """What the machine says. `sources`: for each destination of `can-reach` and IP version the
    address that packets to it would leave with. `internal`: what Kubernetes says are the node's
    InternalIPs.
    """

    held: Sequence[Held]
    sources: Mapping[tuple[str, int], Prefix]
    internal: Sequence[str] = ()


def parse_method(text: str) -> Method:
    """Read a method. Raises ValueError for what is none."""
    name, equals, rest = text.strip().partition("=")
    words = tuple(word.strip() for word in rest.split(",")) if equals else ()
    if name in ("first-found", "kubernetes-internal-ip") and not equals:
        return Method(name)
    if name not in ("can-reach", "interface", "skip-interface", "cidr") or not all(words):
        raise ValueError(f"{text!r} is no method: use {METHODS}")
    if not words or (name == "can-reach" and len(words) > 1):
        raise ValueError(f"{text!r}: say what to look for after {name}=")
    for word in words:
        _check(name, word)
    return Method(name, words)


def _check(name: str, word: str) -> None:
    if name == "cidr":
        parse_network(word)
    elif name.endswith("interface"):
        try:
            re.compile(word)
        except re.error as error:
            raise ValueError(f"{name}={word}: no regular expression: {error}") from None


def detect(method: Method, version: int, around: Surroundings) -> Detection:
    """The node's address of that family by the method."""
    held = [one for one in around.held if one.address.version == version]
    if method.name == "can-reach":
        return _same_as(around.sources.get((method.words[0], version)), held, method)
    if method.name == "kubernetes-internal-ip":
        return _same_as(_first_internal(around.internal, version), held, method)
    if method.name == "interface":
        return _by_patterns(method, held)
    looks = [Look(one, _objection(method, one)) for one in held]
    return _first(looks, method)


def _by_patterns(method: Method, held: Sequence[Held]) -> Detection:
    """The first pattern that finds an address decides."""
    found = Detection(None, "", ())
    for word in method.words:
        looks = [Look(one, _unnamed(word, one)) for one in held]
        found = _first(looks, method)
        if found.address is not None:
            break
    return found


def _unnamed(word: str, one: Held) -> str:
    if not re.search(word, one.interface):
        return f"does not match {word}"
    return _unusable(one)


def _objection(method: Method, one: Held) -> str:
    if method.name == "skip-interface":
        for word in method.words:
            if re.search(word, one.interface):
                return f"matches {word}"
    if _EXCLUDED.search(one.interface):
        return "never a node's interface"
    if method.name == "cidr" and not any(
        parse_network(word).contains(_alone(one.address)) for word in method.words
    ):
        return f"not in {', '.join(method.words)}"
    return _unusable(one)


def _unusable(one: Held) -> str:
    if not one.is_up:
        return "down"
    return "only valid on the link" if _is_local(_alone(one.address)) else ""


def _is_local(address: Prefix) -> bool:
    return any(net.contains(address) for net in _LOCAL[address.version])


def _first(looks: Sequence[Look], method: Method) -> Detection:
    fitting = [one.held for one in looks if not one.objection]
    told = [
        one if one.objection or one.held == fitting[0] else Look(one.held, "not the first")
        for one in looks
    ]
    if not fitting:
        return Detection(None, f"{method}: none of the machine's addresses fits", tuple(told))
    first = fitting[0]
    reason = f"{method}: the first that fits, on {first.interface}"
    return Detection(first.address, reason, tuple(told))


def _same_as(wanted: Prefix | None, held: Sequence[Held], method: Method) -> Detection:
    if wanted is None:
        looks = tuple(Look(one, f"{method} names no address") for one in held)
        return Detection(None, f"{method}: no address is known for it", looks)
    looks = tuple(Look(one, _not_the_same(wanted, one, method)) for one in held)
    if _is_local(wanted):  # as of a destination on this very machine
        return Detection(None, f"{method}: {wanted} is only valid on the link", looks)
    for one in held:
        if _alone(one.address) == wanted:
            return Detection(one.address, f"{method}, on {one.interface}", looks)
    return Detection(wanted, f"{method}: {wanted}, on no interface of this machine", looks)


def _not_the_same(wanted: Prefix, one: Held, method: Method) -> str:
    if _alone(one.address) != wanted:
        return f"{method} says another"
    return "only valid on the link" if _is_local(wanted) else ""


def _first_internal(texts: Sequence[str], version: int) -> Prefix | None:
    for text in texts:
        found, address = parse_address(text)
        if found == version:
            return Prefix.single(found, address)
    return None


def _alone(address: Prefix) -> Prefix:
    return Prefix.single(address.version, address.address)
