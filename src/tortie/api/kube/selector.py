"""Kubernetes' label selector, which is an object where Calico's is text."""

from typing import Literal

from msgspec import field

from tortie.api import checks
from tortie.api.fields import Fields
from tortie.api.rules import each, items, must, pairs, present


class LabelRequirement(Fields, frozen=True, kw_only=True):
    """One condition on one label."""

    key: str
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How `values` are used."""
    values: tuple[str, ...] = ()
    """For In and NotIn: at least one. For Exists and DoesNotExist: none."""


class LabelSelector(Fields, frozen=True, kw_only=True):
    """Labels that must be; both fields must hold. Empty: everything."""

    match_labels: dict[str, str] = field(default_factory=dict)
    """Labels with exactly these values."""
    match_expressions: tuple[LabelRequirement, ...] = ()
    """Conditions that must all hold."""


SELECTOR_RULES = (
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
