"""What the commands of `tortie ipam` share: addresses as text, reports as JSON.

A report has the names of calicoctl's, so that either program reads the other's.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tortie.cli.errors import UserError
from tortie.net import Prefix, format_address, parse_address

if TYPE_CHECKING:
    from tortie.datastore import Datastore
    from tortie.ipam.audit import Allocation, Audit
    from tortie.ipam.types import ReleaseRequest


def address_of(text: str) -> Prefix:
    """An address that a person gave. Raises UserError."""
    try:
        return Prefix.single(*parse_address(text))
    except ValueError as error:
        raise UserError(f"{error}: give one address, such as 10.0.0.1 or fd00::1") from None


def text_of(address: Prefix) -> str:
    """An address without its length."""
    return format_address(address.version, address.address)


def as_json(value: object) -> str:
    """For machines."""
    return json.dumps(value, indent=2)


def allocation_data(one: "Allocation") -> dict[str, object]:
    """An allocation as a report has it."""
    about = one.attributes
    return {
        "ip": text_of(one.address),
        "handle": one.handle,
        "sequenceNumber": one.sequence,
        "pod": about.get("pod", ""),
        "namespace": about.get("namespace", ""),
        "node": about.get("node", ""),
        "type": about.get("type", ""),
        "creationTimestamp": about.get("timestamp", ""),
        "inUse": bool(one.users),
        "borrowed": one.borrowed,
        "owners": [user.name for user in one.users],
        **({"leak": one.leak} if one.leak else {}),
    }


class Standing(NamedTuple):
    """The datastore while a report is made: whose it is, and whether it is locked."""

    cluster: str
    type: str
    revision: str
    """Of ClusterInformation: another one is another lock."""
    locked: bool


async def standing_of(store: "Datastore") -> Standing:
    """Raises DatastoreError. A ClusterInformation that is not there, or malformed, says nothing."""
    from tortie.api.calico.cluster_information import ClusterInformation
    from tortie.datastore import DatastoreError, Forbidden, Unavailable
    from tortie.datastore.cluster import CLUSTER

    cluster = await store.identity()
    try:
        found = await store.get(CLUSTER)
    except (Unavailable, Forbidden):
        raise
    except DatastoreError:
        return Standing(cluster, "", "", False)
    assert isinstance(found, ClusterInformation)
    spec, revision = found.spec, found.metadata.resource_version
    return Standing(cluster, spec.cluster_type, revision, spec.datastore_ready is False)


def report(found: "Audit", version: str, standing: Standing) -> dict[str, object]:
    """What `tortie ipam check` found."""
    allocations: dict[str, list[object]] = {}
    for one in found.allocations:
        allocations.setdefault(text_of(one.address), []).append(allocation_data(one))
    return {
        "version": version,
        "clusterGUID": standing.cluster,
        "clusterType": standing.type,
        "clusterInformationRevision": standing.revision,
        "datastoreLocked": standing.locked,
        "allocations": allocations,
        "leakedHandles": list(found.leaked_handles),
        "cooling": found.cooling,
        "findings": [
            {"what": one.what, "subject": one.subject, "why": one.why, "do": one.cure}
            for one in found.findings
        ],
    }


class Reported(NamedTuple):
    """What a report says is to be released."""

    cluster: str
    lock: str
    """The revision of ClusterInformation under which it was made; empty: it was not locked."""
    addresses: tuple["ReleaseRequest", ...]
    handles: frozenset[str]


def read_report(path: str) -> Reported:
    """A report from its file. Raises UserError for what is none."""
    try:
        data = json.loads(Path(path).read_text())
        return _reported(data)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: no report of `tortie ipam check -o FILE` ({type(error).__name__}: {error})"
        ) from None


def _reported(data: Mapping[str, Any]) -> Reported:
    from tortie.ipam.types import ReleaseRequest

    leaked = [
        ReleaseRequest(
            address=Prefix.single(*parse_address(one["ip"])),
            handle=one.get("handle") or None,
            sequence=one.get("sequenceNumber"),
        )
        for each in data["allocations"].values()
        for one in each
        if not one["inUse"]
    ]
    handles = frozenset(map(str, data.get("leakedHandles") or ()))
    lock = str(data.get("clusterInformationRevision", "")) if data.get("datastoreLocked") else ""
    return Reported(str(data["clusterGUID"]), lock, tuple(leaked), handles)
