"""What IPAM keeps, as Calico writes it in etcd, to and from the resources' JSON. Pure.

Calico's values there have the fields of its older model: no metadata, no spec, and what the key
says is not repeated. Fields that are in neither are passed on as they are. Labels and the like,
which the model has no place for, are kept in a field `metadata` that Calico ignores.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tortie.api import Key
from tortie.datastore.etcd.layout import IPAM_KINDS, claim_of

Fields = dict[str, Any]
_KEPT_ELSEWHERE = ("name", "uid", "creationTimestamp")  # in the key, and by etcd's revisions
# In the resource, in the model.
_BLOCK = {"affinityClaimTime": "affinity_claim_time"}
_HOLDER = {"alternateOwnerAttrs": "alternate"}
_CONFIGURATION = {
    "strictAffinity": "strict_affinity",
    "autoAllocateBlocks": "auto_allocate_blocks",
}
_encode = msgspec.json.Encoder().encode


def to_model(key: Key, value: bytes) -> bytes:
    """The bytes that etcd holds for a resource whose JSON is `value`."""
    if key.kind not in IPAM_KINDS:
        return value
    resource = msgspec.json.decode(value)
    model = _TO_MODEL[key.kind](dict(resource.get("spec", {})), key)
    kept = {
        name: found
        for name, found in resource.get("metadata", {}).items()
        if name not in _KEPT_ELSEWHERE
    }
    return _encode(model | ({"metadata": kept} if kept else {}))


def from_model(path: bytes, key: Key, stored: bytes) -> bytes:
    """The resource's JSON for what etcd holds at `path`; what is no object comes back as it is."""
    if key.kind not in IPAM_KINDS:
        return stored
    try:
        model = msgspec.json.decode(stored or b"{}")  # claims of before they had a state are empty
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return stored
    if not isinstance(model, dict):
        return stored
    metadata = model.pop("metadata", {})
    metadata = {**metadata, "name": key.name} if isinstance(metadata, dict) else metadata
    return _encode({"metadata": metadata, "spec": _FROM_MODEL[key.kind](model, path, key)})


def _block_to(spec: Fields, _: Key) -> Fields:
    absent: Fields = {"affinity": None, "sequenceNumber": 0, "deleted": False}
    model = {**absent, "sequenceNumberForAllocation": {}, **_renamed(spec, _BLOCK)}
    holders = model.get("attributes")
    return model | ({"attributes": _each(holders, _HOLDER)} if holders else {})


def _block_from(model: Fields, _: bytes, __: Key) -> Fields:
    node = model.pop("hostAffinity", None)
    if node and not model.get("affinity"):  # Calico before 2.0
        model["affinity"] = f"host:{node}"
    spec = {"strictAffinity": False, **_renamed(model, _reversed(_BLOCK))}
    holders = spec.get("attributes")
    return spec | ({"attributes": _each(holders, _reversed(_HOLDER))} if holders else {})


def _claim_to(spec: Fields, _: Key) -> Fields:
    in_the_key = ("node", "type", "cidr")
    return {"deleted": False} | {
        name: found for name, found in spec.items() if name not in in_the_key
    }


def _claim_from(model: Fields, path: bytes, _: Key) -> Fields:
    claim = claim_of(path)
    assert claim is not None
    return {"state": "", **model, "node": claim.node, "type": claim.type, "cidr": claim.cidr}


def _handle_to(spec: Fields, key: Key) -> Fields:
    if spec.get("handleID") == key.name:
        del spec["handleID"]
    return {"deleted": False, **spec}


def _handle_from(model: Fields, _: bytes, key: Key) -> Fields:
    return {"handleID": key.name, **model}


def _configuration_to(spec: Fields, _: Key) -> Fields:
    return _renamed(spec, _CONFIGURATION)


def _configuration_from(model: Fields, _: bytes, __: Key) -> Fields:
    absent = {"strictAffinity": False, "autoAllocateBlocks": False}  # Go leaves out what is false
    return absent | _renamed(model, _reversed(_CONFIGURATION))


def _renamed(fields: Fields, names: Mapping[str, str]) -> Fields:
    return {names.get(name, name): found for name, found in fields.items()}


def _each(items: Any, names: Mapping[str, str]) -> Any:
    """Each object renamed; what is no list of objects is passed on, for validation to say so."""
    if not isinstance(items, list):
        return items
    return [_renamed(item, names) if isinstance(item, dict) else item for item in items]


def _reversed(names: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in names.items()}


_TO_MODEL: dict[str, Callable[[Fields, Key], Fields]] = {
    "IPAMBlock": _block_to,
    "BlockAffinity": _claim_to,
    "IPAMHandle": _handle_to,
    "IPAMConfiguration": _configuration_to,
}
_FROM_MODEL: dict[str, Callable[[Fields, bytes, Key], Fields]] = {
    "IPAMBlock": _block_from,
    "BlockAffinity": _claim_from,
    "IPAMHandle": _handle_from,
    "IPAMConfiguration": _configuration_from,
}
