"""What must hold, as a file for CI: these must reach those, these must not.

    allowed:
      - from: shop/web-*
        to: shop/api
        ports: [8080/tcp]
    denied:
      - name: nobody's laptop gets at the data
        from: [guest/*, outside]
        to: {namespace: shop, selector: "role == 'data'"}

A name is a workload's, node's or service's, an address, `outside`, or a pattern of workloads. Each
line holds for every pair of those it names. `denied` without ports means that nothing passes.
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from tortie.api.documents import YamlError, read_documents
from tortie.net.protocols import ICMP
from tortie.policy import Verdict
from tortie.selectors import SelectorError, parse
from tortie.trace.cluster import Cluster
from tortie.trace.ends import (
    End,
    ServiceEnd,
    UnknownEnd,
    end_named,
    end_or_service,
)
from tortie.trace.parties import rules_of
from tortie.trace.questions import NoQuestion, Port, parse_port, verdicts
from tortie.trace.reach import probes_of


class BadAssertions(ValueError):
    """A file that can't be used: which file, which line of it, what is wrong, what to do."""


class Chosen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workloads by their namespace and own labels."""

    namespace: str = "*"
    selector: str = "all()"


Names = str | Chosen | tuple[str | Chosen, ...]


class Line(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"source": "from", "destination": "to"},
):
    """One assertion as it is written."""

    source: Names
    destination: Names
    ports: str | int | tuple[str | int, ...] = ()
    name: str = ""


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allowed: tuple[Line, ...] = ()
    denied: tuple[Line, ...] = ()


class Assertion(NamedTuple):
    """One line, and whether it wants its connections `allowed`."""

    allowed: bool
    line: Line
    where: str  # "assertions.yaml: denied[0]"

    def __str__(self) -> str:
        if self.line.name:
            return self.line.name
        ports = _many(self.line.ports)
        shown = f", {' '.join(map(str, ports))}" if ports else ""
        return f"{_words(self.line.source)} -> {_words(self.line.destination)}{shown}"


class Broken(NamedTuple):
    """A connection that did not go as it must."""

    source: str
    destination: str
    port: Port
    verdict: Verdict


class Outcome(NamedTuple):
    """What came of one assertion: how many connections were judged, which went wrong."""

    assertion: Assertion
    checked: int
    broken: tuple[Broken, ...]


def read_assertions(source: str, text: str) -> list[Assertion]:
    """The assertions of a file. Raises BadAssertions."""
    found: list[Assertion] = []
    for document in read_documents(text):
        if isinstance(document, YamlError):
            raise BadAssertions(f"{source}:{document.line}: {document}")
        found += _of_document(source, document.data)
    if not found:
        raise BadAssertions(f"{source}: there is no assertion in it, under allowed or denied")
    return found


def verify(cluster: Cluster, assertions: Iterable[Assertion]) -> Iterator[Outcome]:
    """What becomes of each, in order. Raises BadAssertions for one that names nobody."""
    every = _every_port(cluster)
    for assertion in assertions:
        try:
            ports = [parse_port(str(text)) for text in _many(assertion.line.ports)]
            yield _outcome(cluster, assertion, ports or every)
        except (UnknownEnd, NoQuestion, SelectorError) as error:
            raise BadAssertions(f"{assertion.where}: {error}") from None


def _of_document(source: str, data: Any) -> Iterator[Assertion]:
    try:
        found = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise BadAssertions(f"{source}: {error}; write lists of from, to and ports") from None
    for allowed, name, lines in ((True, "allowed", found.allowed), (False, "denied", found.denied)):
        for number, line in enumerate(lines):
            where = f"{source}: {name}[{number}]"
            if allowed and not line.ports:
                raise BadAssertions(f"{where}: say which ports must be reached: ports: [80/tcp]")
            yield Assertion(allowed, line, where)


def _outcome(cluster: Cluster, assertion: Assertion, ports: Sequence[Port]) -> Outcome:
    sources = list(_ends(cluster, assertion.line.source, end_named))
    destinations = list(_ends(cluster, assertion.line.destination, end_or_service))
    checked, broken = 0, []
    for source in sources:
        for destination in destinations:
            if source.name == destination.name:
                continue
            for port, verdict in _verdicts(cluster, source, destination, ports):
                checked += 1
                if verdict.allowed != assertion.allowed:
                    broken.append(Broken(source.name, destination.name, port, verdict))
    if not checked:
        raise NoQuestion("it judges no connection at all: both ends are the same")
    return Outcome(assertion, checked, tuple(broken))


def _verdicts(
    cluster: Cluster, source: End, destination: End | ServiceEnd, ports: Iterable[Port]
) -> Iterator[tuple[Port, Verdict]]:
    """Of the ports that the two can use; a service has its own only, a family its own ICMP."""
    possible = 0
    for port in ports:
        try:
            found = verdicts(cluster, source, destination, port)
        except NoQuestion as problem:
            reason = problem
            continue
        possible += 1
        for verdict in found:
            yield port, verdict
    if not possible:
        raise reason


def _every_port(cluster: Cluster) -> list[Port]:
    """A port of every stretch that rules tell apart, the services' own, and ICMP."""
    probes = probes_of(rules_of(cluster.program), cluster)
    found = [
        Port(probe.protocol, probe.ports.first)
        if probe.ports is not None
        else parse_port("icmp" if probe.protocol == ICMP else f"proto/{probe.protocol}")
        for probe in probes
    ]
    backends = (each for service in cluster.services.values() for each in service)
    found += [parse_port(f"{each.port}/{each.protocol}") for each in backends]
    return list(dict.fromkeys(found))


def _ends(cluster: Cluster, names: Names, find: Any) -> Iterator[Any]:
    for each in _many(names):
        if isinstance(each, Chosen):
            yield from _chosen(cluster, each)
        elif "*" in each:
            yield from _matching(cluster, each)
        else:
            yield find(cluster, each)


def _chosen(cluster: Cluster, chosen: Chosen) -> Iterator[End]:
    matches = parse(chosen.selector).matches
    pattern = f"{chosen.namespace}/*"
    found = [end for end in _all(cluster, pattern) if matches(cluster.workloads[end.name].labels)]
    if not found:
        raise UnknownEnd(f"no workload of namespace {chosen.namespace} has {chosen.selector}")
    yield from found


def _matching(cluster: Cluster, pattern: str) -> Iterator[End]:
    found = list(_all(cluster, pattern))
    if not found:
        raise UnknownEnd(f"no workload is like {pattern!r}")
    yield from found


def _all(cluster: Cluster, pattern: str) -> Iterator[End]:
    for name, workload in cluster.workloads.items():
        if workload.addresses and (pattern == "*" or fnmatchcase(name, pattern)):
            yield End(name, workload.addresses, workload.endpoint, workload.node)


def _many(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _words(names: Names) -> str:
    return ", ".join(
        f"{each.namespace} {each.selector}" if isinstance(each, Chosen) else each
        for each in _many(names)
    )
