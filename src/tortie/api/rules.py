"""The words that rules of validation are written in.

A kind's rules are a tuple, read from top to bottom. Each probes an object, and only where the probe
says so it looks closer and adds to the list of violations. Where something stands is spelt only if
it is wrong. Both because ten thousand policies a second pass through here.

What an API server checks too says so beside the rule (`Cel`), and the CRDs take it from
there: so neither is changed without a look at the other.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from tortie.api.problems import Violation, shown, under

T = TypeVar("T")
Object = TypeVar("Object", contravariant=True)
Check = Callable[[Any], object]
"""Looks at one value; raises ValueError with what is wrong with it. The result is not used."""


class Where(NamedTuple):
    """An object's place: a field of its owner, which has a place itself; None is the root."""

    above: "Where | None"
    owner: Any
    field: str
    item: int | None = None


FORBIDDEN = "FieldValueForbidden"
INVALID = "FieldValueInvalid"
REQUIRED = "FieldValueRequired"


class Cel(NamedTuple):
    """A rule as an API server checks it: an expression of the Common Expression Language.

    `reason` is one of those above, or "" where the API gives none. `message` is only for rules that
    say what they found; it is how all their messages begin.
    """

    expression: str
    reason: str = INVALID
    message: str = ""


class About(NamedTuple):
    """What a rule tells of itself to who writes schemas.

    `rules` are those of the object that `steps` lead to from this one: a field by our name of it,
    and "[]" for every item of a list; none of them: this object itself.
    """

    cel: Cel | None = None
    steps: tuple[str, ...] = ()
    rules: "Sequence[Validator[Any]]" = ()


class Validator(NamedTuple, Generic[Object]):
    """One rule: where `probe(object)` is as true as `when`, `look` at the object."""

    probe: Callable[[Object], object]
    when: bool
    look: Callable[[Object, Where | None, list[Violation]], None]
    about: About = About()


Validators = Sequence[Validator[T]]


def check_all(rules: Validators[T], value: T, where: Where | None, found: list[Violation]) -> None:
    """All rules, on one object."""
    for probe, when, look, _ in rules:
        if (not probe(value)) is not when:  # `not` is cheaper than a call of bool
            look(value, where, found)


def cel_of(rules: Validators[Any]) -> Iterator[tuple[tuple[str, ...], Cel]]:
    """All that API servers check of `rules`, and the steps to the object that each is about."""
    for rule in rules:
        if rule.about.cel:
            yield (), rule.about.cel
        for steps, cel in cel_of(rule.about.rules):
            yield (*rule.about.steps, *steps), cel


def must(
    field: str,
    message: str,
    holds: Callable[[T], object],
    hint: str = "",
    cel: Cel | None = None,
) -> Validator[T]:
    """`holds` is true of the object; `field` is the one to blame if not, "" the object itself."""

    def look(value: T, where: Where | None, found: list[Violation]) -> None:
        blamed = getattr(value, field) if field else None
        found.append(
            Violation(path_to(value, field, where), message + _found(blamed), blamed, hint)
        )

    return Validator(holds, False, look, About(cel and cel._replace(message=message)))


def text(field: str, check: Check, cel: Cel | None = None) -> Validator[Any]:
    """The text passes `check`, unless it is absent or empty."""
    return Validator(attrgetter(field), True, _checked(field, check), About(cel))


def number_or_text(field: str, check: Check) -> Validator[Any]:
    """The number (0 too) or the text (the empty one too) passes `check`, unless it is absent."""
    get = attrgetter(field)
    return Validator(lambda value: get(value) is not None, True, _checked(field, check))


def present(field: str, check: Check) -> Validator[Any]:
    """The field is there and passes `check`."""
    get = attrgetter(field)
    checked = _checked(field, check)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        if get(value):
            checked(value, where, found)
        else:
            found.append(Violation(path_to(value, field, where), "is required"))

    return Validator(lambda _: True, True, look)


def each(field: str, check: Check) -> Validator[Any]:
    """Every item of the list passes `check`."""
    get = attrgetter(field)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        for index, item in enumerate(get(value)):
            try:
                check(item)
            except ValueError as error:
                place = f"{path_to(value, field, where)}[{index}]"
                found.append(Violation(place, str(error), item))

    return Validator(get, True, look)


def unique(field: str, key: Callable[[Any], object] = lambda item: item) -> Validator[Any]:
    """No two items of the list have the same key."""
    get = attrgetter(field)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        items = get(value)
        if len(items) < 2 or len({key(item) for item in items}) == len(items):
            return
        seen: dict[object, int] = {}
        for index, item in enumerate(items):
            first = seen.setdefault(key(item), index)
            if first != index:
                place = f"{path_to(value, field, where)}[{index}]"
                found.append(Violation(place, f"is the same as item {first}", item))

    return Validator(get, True, look)


def inside(field: str, rules: Validators[Any]) -> Validator[Any]:
    """The object in the field, where there is one, keeps `rules`."""
    get = attrgetter(field)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        check_all(rules, get(value), Where(where, value, field), found)

    return Validator(get, True, look, About(steps=(field,), rules=rules))


def given(field: str, *rules: Validator[T]) -> Validator[T]:
    """Where the field is set, the object that it belongs to keeps `rules`."""

    def look(value: T, where: Where | None, found: list[Violation]) -> None:
        check_all(rules, value, where, found)

    return Validator(attrgetter(field), True, look, About(rules=rules))


def items(field: str, rules: Validators[Any]) -> Validator[Any]:
    """Every object in the list keeps `rules`."""
    get = attrgetter(field)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        for index, item in enumerate(get(value)):
            check_all(rules, item, Where(where, value, field, index), found)

    return Validator(get, True, look, About(steps=(field, "[]"), rules=rules))


def pairs(field: str, key: Check, item: Check) -> Validator[Any]:
    """Every key and every value of the map pass their checks."""
    get = attrgetter(field)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        for name, content in get(value).items():
            try:
                key(name)
                item(content)
            except ValueError as error:
                place = under(path_to(value, field, where), name)
                found.append(Violation(place, str(error), content))

    return Validator(get, True, look)


def _found(value: Any) -> str:
    """What was found, where that is a number, text, or a list of such."""
    values = value if isinstance(value, tuple) else (value,)
    plain = all(isinstance(item, str | int | float) for item in values)
    said = value in ((), "") or isinstance(value, bool)
    return f" (found {shown(value)})" if plain and not said else ""


def _checked(field: str, check: Check) -> Callable[[Any, Where | None, list[Violation]], None]:
    get = attrgetter(field)

    def look(value: Any, where: Where | None, found: list[Violation]) -> None:
        item = get(value)
        try:
            check(item)
        except ValueError as error:
            found.append(Violation(path_to(value, field, where), str(error), item))

    return look


def path_to(value: Any, field: str, where: Where | None) -> str:
    """The path of a field of `value`, by the API's names."""
    path = _spelt(where) if where else ""
    return under(path, _api_name(value, field)) if field else path


def _spelt(where: Where) -> str:
    path = under(_spelt(where.above) if where.above else "", _api_name(where.owner, where.field))
    return path if where.item is None else f"{path}[{where.item}]"


def _api_name(value: Any, field: str) -> str:
    return str(value.__struct_encode_fields__[value.__struct_fields__.index(field)])
