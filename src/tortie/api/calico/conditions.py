"""Status conditions, as in Kubernetes."""

from typing import Annotated, Literal

from msgspec import Meta

from tortie.api.fields import Fields, Timestamp, matching

_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)


class Condition(Fields, frozen=True, kw_only=True):
    """One aspect of an object's state."""

    type: Annotated[str, matching(_TYPE, max_length=316)]
    """Which aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, matching(_REASON, min_length=1, max_length=1024)]
    """Why, as one word."""
    message: Annotated[str, Meta(max_length=32768)]
    """Why, for people."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    observed_generation: (
        Annotated[int, Meta(ge=0, extra_json_schema={"format": "int64"})] | None
    ) = None
    """The `metadata.generation` that this speaks of."""


Conditions = Annotated[
    tuple[Condition, ...],
    Meta(
        extra_json_schema={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    ),
]


class ConditionsStatus(Fields, frozen=True, kw_only=True):
    """A status that is conditions alone."""

    conditions: Conditions = ()
    """One for each type."""
