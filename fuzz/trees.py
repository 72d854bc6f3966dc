"""Changes to an object's data: what a person, another writer or an attacker could make of it."""

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple

from msgspec import inspect

from fuzz.shapes import SCALARS, annotation_names, arbitrary, below, branch

_MOST_PLACES = 400
_MOST_ITEMS = 5000  # no input has room for more
_REPEATS = (2, 3, 20, 1100)  # the last is above every bound on lists


class Place(NamedTuple):
    """One value within the data: `holder[step]`."""

    holder: Any
    step: Any
    shape: inspect.Type | None


def changed(data: Any, shape: inspect.Type | None, random: Random) -> Any:
    """A copy of the data with one to four changes."""
    root = {"": deepcopy(data)}
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.choice(_places(root, shape))
        random.choice(_CHANGES)(place, random)
        if _items(root) > _MOST_ITEMS:
            return data
    return root.get("", random.choice(SCALARS))


def _items(value: Any) -> int:
    """How many fields and items there are, those of shared parts counted once."""
    seen: set[int] = set()
    waiting, count = [value], 0
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list) and id(holder) not in seen:
            seen.add(id(holder))
            count += len(holder)
            waiting.extend(holder.values() if isinstance(holder, dict) else holder)
    return count


def written_out(value: Any, known: dict[int, int] | None = None) -> int:
    """How many values there are where nothing is shared, as JSON writes them."""
    known = {} if known is None else known
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(written_out(each, known) for each in inner)
    return known[id(value)]


def depth(value: Any) -> int:
    """How many lists and objects lie in one another."""
    levels = 0
    inside = [value]
    while inside := [each for each in inside if isinstance(each, dict | list)]:
        levels += 1
        inside = [
            item for each in inside for item in (each.values() if isinstance(each, dict) else each)
        ]
    return levels


def _places(root: dict[str, Any], shape: inspect.Type | None) -> list[Place]:
    found = [Place(root, "", shape)] if "" in root else [Place(root, "", None)]
    for place in found:
        if len(found) > _MOST_PLACES:
            break
        value = (
            place.holder.get(place.step)
            if isinstance(place.holder, dict)
            else place.holder[place.step]
        )
        steps = (
            value
            if isinstance(value, dict)
            else range(len(value))
            if isinstance(value, list)
            else ()
        )
        found += [Place(value, step, below(place.shape, step, value)) for step in steps]
    return found


def _fill(place: Place, random: Random) -> None:
    place.holder[place.step] = arbitrary(place.shape, random)


def _scalar(place: Place, random: Random) -> None:
    place.holder[place.step] = random.choice(SCALARS)


def _add(place: Place, random: Random) -> None:
    """One more field or item, of those that may be there."""
    value = _value(place)
    match branch(place.shape, value):
        case inspect.StructType() as struct if isinstance(value, dict) and struct.fields:
            field = random.choice(struct.fields)
            value[field.encode_name] = arbitrary(field.type, random)
        case inspect.DictType() as mapped if isinstance(value, dict):
            key = str(random.choice((*SCALARS, *annotation_names())))
            value[key] = arbitrary(mapped.value_type, random)
        case inspect.VarTupleType() as listed if isinstance(value, list):
            value.append(arbitrary(listed.item_type, random))
        case _:
            _fill(place, random)


def _drop(place: Place, random: Random) -> None:  # noqa: ARG001 - one signature for all changes
    if isinstance(place.holder, list) or place.step in place.holder:
        del place.holder[place.step]


def _repeat(place: Place, random: Random) -> None:
    """The same item many times: YAML writes it as aliases."""
    if isinstance(place.holder, list) and len(place.holder) < 5:
        place.holder.extend(place.holder * random.choice(_REPEATS))
    else:
        place.holder[place.step] = [_value(place)] * random.choice(_REPEATS)


def _misspell(place: Place, random: Random) -> None:
    if not isinstance(place.holder, dict) or place.step not in place.holder:
        return
    name = str(place.step)
    cut = random.randrange(len(name) + 1)
    other = (
        name[:cut] + random.choice(("", "s", "X", ".", '"', "[0]", "\x00", "<<")) + name[cut + 1 :]
    )
    place.holder[other] = place.holder.pop(place.step)


def _many_fields(place: Place, random: Random) -> None:
    """Hundreds of fields that nobody knows."""
    value = _value(place)
    if isinstance(value, dict):
        value |= {
            f"{random.choice(('foo', 'bpf', 'select'))}{n}": n
            for n in range(random.choice((3, 300)))
        }


def _nest(place: Place, random: Random) -> None:
    value = _value(place)
    for _ in range(random.choice((1, 5, 60, 95, 99, 101, 1200))):
        value = [value] if random.random() < 0.5 else {"a": value}
    place.holder[place.step] = value


def _copy(place: Place, random: Random) -> None:
    """The same object at another place nearby: an alias in YAML."""
    holder = place.holder
    steps = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if steps:
        holder[random.choice(steps)] = _value(place)


def _laugh(place: Place, random: Random) -> None:
    """Few bytes of YAML that stand for very many values."""
    value: Any = _value(place)
    if isinstance(value, dict | list) and value is place.holder:
        return
    for level in range(random.choice((2, 3, 5, 9))):
        several = [value] * random.choice((2, 9, 15))
        value = (
            several if random.random() < 0.7 else {f"a{n}": each for n, each in enumerate(several)}
        )
        del level
    place.holder[place.step] = value


def _value(place: Place) -> Any:
    return (
        place.holder.get(place.step) if isinstance(place.holder, dict) else place.holder[place.step]
    )


_CHANGES: tuple[Callable[[Place, Random], None], ...] = (
    *(_fill, _fill, _scalar, _scalar, _add, _add, _add, _add),
    *(_drop, _repeat, _misspell, _many_fields, _nest, _copy, _laugh),
)
