"""Definitions of kinds, as documents of `apiextensions.k8s.io/v1`."""

from collections.abc import Iterable
from typing import Any

from tortie.api.crds.names import CUSTOM_KINDS, Shown
from tortie.api.crds.versions import WHOLE, Release, fitted
from tortie.api.registry import KINDS, Kind
from tortie.api.schemas import Schema, schema_of

NATIVE = "projectcalico.org"
STORED = "crd.projectcalico.org"
GROUPS = {NATIVE: "v3", STORED: "v1"}
"""Each group and its version."""

_STORED_KINDS = {"IPAMConfiguration": "IPAMConfig"}
"""Kinds that have another name in the group that the aggregated API server stores in."""

_METADATA = {"type": "object"}  # an API server refuses every further word on it


def definitions(
    group: str, kinds: Iterable[str] = CUSTOM_KINDS, release: Release = WHOLE
) -> list[dict[str, Any]]:
    """The definitions of `kinds` (the registry's names, of CUSTOM_KINDS) in one of GROUPS.

    They are what API servers of `release` and later take.
    """
    found = [definition(KINDS[name], group) for name in kinds]
    return found if release >= WHOLE else [fitted(each, release) for each in found]


def definition(kind: Kind, group: str) -> dict[str, Any]:
    """The definition of one kind of CUSTOM_KINDS in one of GROUPS."""
    names = _names(kind, group)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind, group)],
        },
    }


def plural_of(kind: str, group: str) -> str:
    """What paths and roles of a group call the objects of a kind of CUSTOM_KINDS."""
    plural: str = _names(KINDS[kind], group)["plural"]
    return plural


def has_status(kind: str, group: str) -> bool:
    """Whether the objects of a kind have, in this group, a status that is written apart."""
    return group == NATIVE and "status" in schema_of(KINDS[kind])["properties"]


def _names(kind: Kind, group: str) -> dict[str, Any]:
    """Short names belong to the group that people use: were both there, they would clash."""
    if group == STORED:
        name = _STORED_KINDS.get(kind.name, kind.name)
        plural = f"{name.lower()}s" if name != kind.name else kind.plural
        short: tuple[str, ...] = ()
    else:
        name, plural, short = kind.name, kind.plural, CUSTOM_KINDS[kind.name].short
    names = {"kind": name, "listKind": f"{name}List", "plural": plural, "singular": name.lower()}
    return {**names, "shortNames": list(short)} if short else names


def _version(kind: Kind, group: str) -> dict[str, Any]:
    schema = schema_of(kind)
    shown = CUSTOM_KINDS[kind.name]
    columns = [
        {"name": header, "type": type_, "jsonPath": path} for header, type_, path in shown.columns
    ]
    version = {
        "name": GROUPS[group],
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _native(schema) if group == NATIVE else _stored(schema)},
        "additionalPrinterColumns": columns,
        **(_served(shown, schema) if group == NATIVE else {}),
    }
    return {key: value for key, value in version.items() if value != []}


def _served(shown: Shown, schema: Schema) -> dict[str, Any]:
    """What an API server can only do for fields that the schema has."""
    served: dict[str, Any] = {"selectableFields": [{"jsonPath": path} for path in shown.selectable]}
    if "status" in schema["properties"]:
        served["subresources"] = {"status": {}}
    return served


def _native(schema: Schema) -> Schema:
    """As it is, but for metadata, which an API server knows itself."""
    required = sorted({"metadata", *schema.get("required", ())})
    properties = {**schema["properties"], "metadata": _METADATA}
    return {**schema, "properties": properties, "required": required}


def _stored(schema: Schema) -> Schema:
    """Whatever the spec and the status hold: other writers' versions have other fields."""
    properties = {
        name: {
            "description": field["description"],
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
        }
        for name, field in schema["properties"].items()
        if name in ("spec", "status")
    }
    names = {name: schema["properties"][name] for name in ("apiVersion", "kind")}
    return {
        "description": schema["description"],
        "type": "object",
        "properties": {**names, "metadata": _METADATA, **properties},
    }
