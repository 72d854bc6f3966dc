"""A pod's further interfaces, as the status of its Pod tells of them.

The first interface's addresses are in the status because the kubelet puts them there. Nobody does
that for others, so the CNI plugin adds a condition, whose message is JSON: an object by the
interfaces' names. It is no annotation: whoever may change a Pod may change its annotations, and
could claim any address with one. The status is written by those who run the cluster, and kubelets
keep conditions that are not theirs.

An interface that has gone leaves its name, so that the Pod alone tells which endpoints are gone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tortie.api import Pod, PodStatus
from tortie.kubernetes.names import ENDPOINT, FURTHER_INTERFACES

_INTERFACE = re.compile(r"[^\s/:%\0]+")
_LONGEST_INTERFACE = 15  # bytes, of the kernel
_TAKEN = frozenset({".", "..", "all", "default"})  # of the kernel's folders of settings


class Further(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interface. `addresses` are CIDRs; no container: it has gone."""

    container_id: str = msgspec.field(default="", name="containerID")
    network: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""


_GONE = Further()
_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_further = msgspec.json.Decoder(Further).decode


def is_interface(name: str) -> bool:
    """Whether the end inside a container can be called that: a "%" the kernel would replace."""
    fits = len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_INTERFACE
    return fits and name not in _TAKEN and bool(_INTERFACE.fullmatch(name))


def further_interfaces(pod: Pod, warnings: list[str] | None = None) -> dict[str, Further]:
    """All that the Pod tells of by name, also of those that have gone; its first is not among them.

    What can't be read is left out, with a warning: an interface without endpoint gets no traffic.
    """
    found = _condition(pod)
    if found is None:
        return {}
    problems = warnings if warnings is not None else []
    try:
        entries = _names(found.get("message") or "{}")
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        problems.append(f"condition {FURTHER_INTERFACES}: {error}; it is left out")
        return {}
    return dict(_read(entries, problems))


def with_further(pod: Pod, name: str, interface: Further | None) -> Pod:
    """The Pod with this interface, or where there was one: without it."""
    known = further_interfaces(pod)
    if interface is None and name not in known:
        return pod
    told = {**known, name: interface or _GONE}
    condition = {
        "type": FURTHER_INTERFACES,
        "status": "True" if any(one.container_id for one in told.values()) else "False",
        "reason": "ToldByNode",
        "message": msgspec.json.encode(dict(sorted(told.items()))).decode(),
    }
    return _with_conditions(pod, [*_others(pod), condition])


def without_further(pod: Pod) -> Pod:
    """The Pod without a word of further interfaces."""
    return _with_conditions(pod, _others(pod))


def further_condition(pod: Pod) -> Mapping[str, Any] | None:
    """The condition as it stands in the status; None where there is none."""
    return _condition(pod)


def _read(entries: Mapping[str, msgspec.Raw], warnings: list[str]) -> Iterator[tuple[str, Further]]:
    for name, raw in sorted(entries.items()):
        if name == ENDPOINT or not is_interface(name):
            problem = "that can't be a further interface's name"
        else:
            try:
                yield name, _further(raw)
                continue
            except msgspec.DecodeError as error:
                problem = str(error)
        warnings.append(f"condition {FURTHER_INTERFACES}: {name!r}: {problem}; it is left out")


def _condition(pod: Pod) -> dict[str, Any] | None:
    return next((one for one in _conditions(pod) if _is_ours(one)), None)


def _others(pod: Pod) -> list[Any]:
    return [one for one in _conditions(pod) if not _is_ours(one)]


def _conditions(pod: Pod) -> list[Any]:
    found = pod.status.conditions if pod.status is not None else None
    return found if isinstance(found, list) else []


def _is_ours(condition: object) -> bool:
    return isinstance(condition, dict) and condition.get("type") == FURTHER_INTERFACES


def _with_conditions(pod: Pod, conditions: list[Any]) -> Pod:
    status = replace(pod.status or PodStatus(), conditions=conditions or None)
    return replace(pod, status=None if status == PodStatus() else status)
