"""What IPAM keeps, as Calico writes it in etcd, to and from the resources' JSON. Pure.

Calico's values there have the fields of its older model: no metadata, no spec, and what the key
says is not repeated. Fields that are in neither are passed on as they are. Labels and the like,
which the model has no place for, are kept in a field `metadata` that Calico ignores.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tortie.api import Key
from tortie.datastore.etcd.layout import IPAM_KINDS, claim_of

Fields = dict[str, Any]
_KEPT_ELSEWHERE = ("name", "uid", "creationTimestamp")  # in the key, and by etcd's revisions
_CONFIGURATION = {  # in the model, in the resource
    "strict_affinity": "strictAffinity",
    "auto_allocate_blocks": "autoAllocateBlocks",
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
    return {**absent, "sequenceNumberForAllocation": {}, **spec}


def _block_from(model: Fields, _: bytes, __: Key) -> Fields:
    node = model.pop("hostAffinity", None)
    if node and not model.get("affinity"):  # Calico before 2.0
        model["affinity"] = f"host:{node}"
    return {"strictAffinity": False, **model}


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
    names = {ours: model for model, ours in _CONFIGURATION.items()}
    return {names.get(name, name): found for name, found in spec.items()}


def _configuration_from(model: Fields, _: bytes, __: Key) -> Fields:
    absent = {"strictAffinity": False, "autoAllocateBlocks": False}  # Go leaves out what is false
    return absent | {_CONFIGURATION.get(name, name): found for name, found in model.items()}


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
