"""What annotations ask of a pod's interface: addresses, families, pools, MAC address. Pure.

The names are Calico's, each with the prefix `cni.projectcalico.org/`. What can't be used is an
error that names the annotation: a pod that asked for something must not start without it.
"""

import re

import msgspec

from tortie.api import Namespace, Pod
from tortie.cni.config import FeatureControl
from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.kubernetes import names
from tortie.net import Prefix, parse_address, parse_network

_PREFIX = "cni.projectcalico.org/"
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_FAMILIES = {"IPv4": 4, "IPv6": 6}


def listed(pod: Pod | Namespace | None, name: str) -> tuple[str, ...]:
    """An annotation that is a JSON list of texts; () where there is none. Raises CniError."""
    text = _text(pod, name)
    if not text:
        return ()
    try:
        return tuple(msgspec.json.decode(text, type=list[str]))
    except msgspec.DecodeError as problem:
        raise _wrong(name, text, f"use a JSON list of texts ({problem})") from None


def families(pod: Pod | None) -> frozenset[int]:
    """`ipFamilies`: the IP versions that the pod wants; none: as configured. Raises CniError."""
    asked = listed(pod, "ipFamilies")
    unknown = sorted(set(asked) - set(_FAMILIES))
    if unknown:
        raise _wrong("ipFamilies", unknown[0], "use IPv4 and IPv6")
    return frozenset(_FAMILIES[one] for one in asked)


def mac(pod: Pod | None) -> str:
    """`hwAddr`: the MAC address that the pod wants; empty: any. Raises CniError."""
    return mac_address(_text(pod, "hwAddr"), f"annotation {_PREFIX}hwAddr")


def mac_address(text: str, where: str) -> str:
    """A MAC address that an interface can have; empty: any. Raises CniError."""
    found = text.lower()
    if not found:
        return ""
    if not _MAC.fullmatch(found):
        wanted = "use a MAC address such as 1c:0c:0a:c0:ff:ee"
        raise CniError(INVALID_CONFIG, f"{where} is {found!r}: {wanted}")
    if int(found[:2], 16) & 1:
        wanted = "that is a group's address: let its first byte be even"
        raise CniError(INVALID_CONFIG, f"{where} is {found!r}: {wanted}")
    return found


def without_ipam(pod: Pod | None, allowed: FeatureControl) -> tuple[Prefix, ...]:
    """`ipAddrsNoIpam`: addresses that no IPAM is asked about, one a family. Raises CniError."""
    asked = listed(pod, "ipAddrsNoIpam")
    if asked and not allowed.ip_addrs_no_ipam:
        raise _not_allowed("ipAddrsNoIpam", "ip_addrs_no_ipam")
    if asked and listed(pod, "ipAddrs"):
        raise _wrong("ipAddrsNoIpam", asked[0], "ipAddrs is there too: keep one of them")
    return single_addresses(asked, f"annotation {_PREFIX}ipAddrsNoIpam")


def check_used_later(pod: Pod | None, allowed: FeatureControl) -> None:
    """Raises CniError for annotations that the agent would leave out: each of these is wanted."""
    for name in (names.FLOATING_IPS, names.ALLOWED_SOURCE_PREFIXES):
        short = name.removeprefix(_PREFIX)
        for text in listed(pod, short):
            try:
                parse_network(text)
            except ValueError as problem:
                raise _wrong(short, text, str(problem)) from None
    if listed(pod, "floatingIPs") and not allowed.floating_ips:
        raise _not_allowed("floatingIPs", "floating_ips")


def single_addresses(asked: tuple[str, ...], where: str) -> tuple[Prefix, ...]:
    """Addresses of which there is one a family, IPv4 first. Raises CniError."""
    found = {}
    for text in asked:
        try:
            version, address = parse_address(text.strip())
        except ValueError as problem:
            raise CniError(INVALID_CONFIG, f"{where}: {problem}") from None
        if version in found:
            raise CniError(INVALID_CONFIG, f"{where}: two IPv{version} addresses: name one")
        found[version] = Prefix.single(version, address)
    return tuple(found[version] for version in sorted(found))


def _text(found: Pod | Namespace | None, name: str) -> str:
    return found.metadata.annotations.get(_PREFIX + name, "") if found is not None else ""


def _wrong(name: str, found: str, wanted: str) -> CniError:
    return CniError(INVALID_CONFIG, f"annotation {_PREFIX}{name} is {found!r}: {wanted}")


def _not_allowed(name: str, key: str) -> CniError:
    return CniError(
        INVALID_CONFIG,
        f"annotation {_PREFIX}{name} is not allowed here: the network configuration has no "
        f"feature_control.{key}",
    )
