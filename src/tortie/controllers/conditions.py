"""Status conditions of what has no other status. Pure."""

from typing import Literal, TypeVar

from msgspec.structs import replace

from tortie.api import IPPool
from tortie.api.calico.conditions import Condition, ConditionsStatus
from tortie.api.calico.tier import Tier

R = TypeVar("R", IPPool, Tier)
_LONGEST = 32_768  # characters, of a message


def with_condition(resource: R, type_: str, reason: str, text: str, now: str) -> R:
    """With the condition, true where the reason is OK; the same object where that is said already.

    Its time is that of the last change from true to false or back.
    """
    before = resource.status.conditions if resource.status else ()
    known = {one.type: one for one in before}
    old = known.get(type_)
    status: Literal["True", "False"] = "True" if reason == "OK" else "False"
    since = old.last_transition_time if old and old.status == status else now
    known[type_] = Condition(
        type=type_,
        status=status,
        reason=reason,
        message=text[:_LONGEST],
        last_transition_time=since,
    )
    if old == known[type_]:
        return resource
    return replace(resource, status=ConditionsStatus(conditions=tuple(known.values())))


def condition(resource: IPPool | Tier, type_: str) -> Condition | None:
    """What its status says of one aspect."""
    conditions = resource.status.conditions if resource.status else ()
    return next((one for one in conditions if one.type == type_), None)
