"""Kubernetes' label selector, which is an object where Calico's is text."""

from typing import Annotated, Literal

from msgspec import field

from tortie.api import checks
from tortie.api.fields import UNLISTED, Atomic, Fields
from tortie.api.problems import nearest
from tortie.api.rules import Validators, each, items, must, pairs, present

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


class LooseRequirement(Fields, frozen=True, kw_only=True):
    """One condition on one label, as kinds have it whose schema does not list the operators."""

    key: str
    """The label."""
    operator: str
    """How `values` are used: In, NotIn, Exists or DoesNotExist."""
    values: tuple[str, ...] = ()
    """For In and NotIn: at least one. For Exists and DoesNotExist: none."""


class LabelRequirement(LooseRequirement, frozen=True, kw_only=True):
    """One condition on one label."""

    operator: Annotated[Literal["In", "NotIn", "Exists", "DoesNotExist"], UNLISTED]
    """How `values` are used: In, NotIn, Exists or DoesNotExist."""


class LooseSelector(Fields, frozen=True, kw_only=True):
    """Labels that must be, as custom resources have them; both fields must hold.

    An API server does not look into it. An operator that nobody knows must not make the object
    unreadable, since a policy that can't be read is absent; converting it fails closed instead.
    """

    match_labels: dict[str, str] = field(default_factory=dict)
    """Labels with exactly these values."""
    match_expressions: tuple[LooseRequirement, ...] = ()
    """Conditions that must all hold."""


class LabelSelector(LooseSelector, frozen=True, kw_only=True):
    """Labels that must be; both fields must hold. Empty: everything."""

    schema_extra = Atomic.schema_extra

    match_expressions: tuple[LabelRequirement, ...] = ()
    """Conditions that must all hold."""


SELECTOR_RULES: Validators[LooseSelector] = (
    pairs("match_labels", checks.qualified_name, checks.label_value),
    items(
        "match_expressions",
        (
            present("key", checks.qualified_name),
            each("values", checks.label_value),
            must(
                "values",
                "In and NotIn need at least one value",
                lambda e: e.values or e.operator not in ("In", "NotIn"),
            ),
            must(
                "values",
                "Exists and DoesNotExist take no values",
                lambda e: not e.values or e.operator in ("In", "NotIn"),
            ),
        ),
    ),
)


def _operator(text: str) -> None:
    if text not in OPERATORS:
        hint = nearest(text, OPERATORS)
        raise ValueError(f"{text!r} is not one of {', '.join(OPERATORS)}{hint and f'; {hint}'}")


LOOSE_SELECTOR_RULES: Validators[LooseSelector] = (
    *SELECTOR_RULES,
    items("match_expressions", (present("operator", _operator),)),
)
