"""From several sources to one configuration, with where each value came from.

A parameter's first source by `Origin` counts, also where its value is bad: then the parameter's
rule says whether its default is used or the agent stops. A source of lower rank is not asked
instead: it would be in force without anybody having said so.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.parameters import BY_NAME, Configuration
from tortie.engine.configuration.reasons import why_unused
from tortie.engine.configuration.sources import Origin, Source


class Setting(NamedTuple):
    """One parameter's value, the text that said so ("" for none), and who."""

    value: object
    text: str
    origin: Origin
    title: str


class Problem(NamedTuple):
    """What a person should know; a fatal one means that the agent must not run."""

    text: str
    fatal: bool = False


class Resolved(Struct, frozen=True):
    """The configuration, each parameter's setting by Calico's name, and what was wrong."""

    configuration: Configuration
    settings: Mapping[str, Setting]
    problems: tuple[Problem, ...]

    @property
    def fatal(self) -> tuple[str, ...]:
        """Why the agent must not run; empty when it may."""
        return tuple(problem.text for problem in self.problems if problem.fatal)


class _Given(NamedTuple):
    text: str
    source: Source


def resolve(sources: Iterable[Source]) -> Resolved:
    """Merge sources, given in any order; of equal origin the first given wins."""
    problems: list[Problem] = []
    given = _given(sorted(sources, key=lambda source: source.origin), problems)
    settings: dict[str, Setting] = {}
    values: dict[str, Any] = {}
    for folded, (field, parameter) in BY_NAME.items():
        setting = _setting(parameter, given.get(folded), problems)
        settings[parameter.name] = setting
        values[field] = setting.value
    # Every field is there, each made by its own parameter's reader.
    return Resolved(Configuration(**values), settings, tuple(problems))


def _given(sources: list[Source], problems: list[Problem]) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for source in sources:
        problems.extend(map(Problem, source.problems))
        for name, text in source.texts.items():
            known = BY_NAME.get(name.casefold())
            if known is None:
                problems.append(Problem(_unknown(name, source)))
            elif known.parameter.local and not source.origin.is_local:
                problems.append(
                    Problem(f"{source.title}: {name} is each node's own; it is left out")
                )
            elif text.strip():
                found.setdefault(name.casefold(), _Given(text.strip(), source))
    return found


def _setting(parameter: Parameter, given: _Given | None, problems: list[Problem]) -> Setting:
    if given is not None:
        try:
            value = parameter.read(given.text)
        except ValueError as error:
            problems.append(_bad(parameter, given, error))
        else:
            return Setting(value, given.text, given.source.origin, given.source.title)
    elif parameter.required and not parameter.default:
        problems.append(Problem(f"{parameter.name} is not set; it has no default", fatal=True))
    return default_of(parameter)


def default_of(parameter: Parameter) -> Setting:
    """What holds where nobody says anything; None for what then depends on other things."""
    text = parameter.default
    value = parameter.reader.read(text) if text else _absent(parameter)
    return Setting(value, text, Origin.DEFAULT, "the default")


def _absent(parameter: Parameter) -> object:
    zero = parameter.reader.zero
    return zero if isinstance(zero, (str, tuple)) else None


def _bad(parameter: Parameter, given: _Given, error: ValueError) -> Problem:
    said = f"{given.source.title}: {parameter.name}={given.text!r}: {error}"
    if parameter.fatal:
        return Problem(said, fatal=True)
    return Problem(f"{said}; the default {parameter.default!r} is used")


def _unknown(name: str, source: Source) -> str:
    near = difflib.get_close_matches(name.casefold(), BY_NAME, n=1, cutoff=0.8)
    hint = f"; did you mean {BY_NAME[near[0]].parameter.name}?" if near else ""
    return f"{source.title}: there is no parameter {name}{hint}"


def unused(resolved: Resolved) -> Iterator[str]:
    """The parameters that somebody set and nothing acts on as of now."""
    for _, parameter in BY_NAME.values():
        setting = resolved.settings[parameter.name]
        if setting.origin is not Origin.DEFAULT and not parameter.used:
            reason = why_unused(parameter.name)
            yield f"{setting.title}: {parameter.name} has no effect: {reason}"
