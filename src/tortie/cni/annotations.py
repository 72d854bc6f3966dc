"""What a Pod's annotations ask of its interface: addresses, families, pools, MAC address. Pure.

The names are Calico's, each with the prefix `cni.projectcalico.org/`. What can't be used is an
error that names the annotation: a pod that asked for something must not start without it.
"""

import re

import msgspec

from tortie.api import Pod
from tortie.cni.errors import INVALID_CONFIG, CniError

_PREFIX = "cni.projectcalico.org/"
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_FAMILIES = {"IPv4": 4, "IPv6": 6}


def listed(pod: Pod | None, name: str) -> tuple[str, ...]:
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
    text = _text(pod, "hwAddr").lower()
    if not text:
        return ""
    if not _MAC.fullmatch(text):
        raise _wrong("hwAddr", text, "use a MAC address such as 1c:0c:0a:c0:ff:ee")
    if int(text[:2], 16) & 1:
        raise _wrong("hwAddr", text, "that is a group's address: let its first byte be even")
    return text


def _text(pod: Pod | None, name: str) -> str:
    return pod.metadata.annotations.get(_PREFIX + name, "") if pod is not None else ""


def _wrong(name: str, found: str, wanted: str) -> CniError:
    return CniError(INVALID_CONFIG, f"annotation {_PREFIX}{name} is {found!r}: {wanted}")
