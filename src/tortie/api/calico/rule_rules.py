"""What a policy's rules must be, beyond their types."""

from collections.abc import Iterator
from typing import Any

from tortie.api import checks
from tortie.api.calico.rule import EntityRule, HttpMatch, IcmpFields, Rule
from tortie.api.fields import api_name
from tortie.api.problems import Violation
from tortie.api.rules import (
    FORBIDDEN,
    REQUIRED,
    Cel,
    Validator,
    Validators,
    Where,
    each,
    given,
    inside,
    items,
    must,
    number_or_text,
    pairs,
    path_to,
    text,
    unique,
)


def _families(rule: Rule) -> set[int | None]:
    """The IP versions that the rule's networks and ipVersion speak of."""
    found: set[int | None] = set()
    for end in (rule.source, rule.destination):
        if end is not None and (end.nets or end.not_nets):
            found.update(map(_version, (*end.nets, *end.not_nets)))
    return {rule.ip_version, *found} - {None} if found else found


def _families_differ(rule: Rule, where: Where | None, found: list[Violation]) -> None:
    """Blames the first network that is not of ipVersion, or of the first network's version."""
    message = "a rule speaks of one IP version: its networks and ipVersion must agree"
    wanted: int | None = rule.ip_version
    for place, net in _nets_of(rule, where):
        version = _version(net)
        wanted = wanted or version
        if version not in (None, wanted):
            said = f"{message} ({net} is IPv{version}, the rule is of IPv{wanted})"
            found.append(Violation(place, said, net, "make it a rule of its own"))
            return


def _nets_of(rule: Rule, where: Where | None) -> Iterator[tuple[str, str]]:
    """Each network of the rule, after its path."""
    for side in ("source", "destination"):
        end = getattr(rule, side)
        for field in ("nets", "not_nets") if end else ():
            path = path_to(end, field, Where(where, rule, side))
            yield from ((f"{path}[{index}]", net) for index, net in enumerate(getattr(end, field)))


def _version(net: str) -> int | None:
    try:
        return checks.network(net).version
    except ValueError:
        return None  # another rule says so


def _ports_fit(rule: Rule) -> bool:
    """Numbers need a protocol with ports; names bring theirs."""
    if checks.has_ports(rule.protocol):
        return True
    ends = [end for end in (rule.source, rule.destination) if end is not None]
    ports = [port for end in ends for port in (*end.ports, *end.not_ports)]
    return not ports or (rule.protocol is None and all(map(checks.is_port_name, ports)))


def _service_with_ports(end: EntityRule | None) -> bool:
    return end is not None and end.services is not None and bool(end.ports or end.not_ports)


_PROTOCOLS = ("protocol", "not_protocol")
_ICMP_VERSIONS = (("ICMP", 1, 4), ("ICMPv6", 58, 6))


def _icmp_version(field: str, name: str, number: int, version: int) -> Validator[Rule]:
    self = f"self.{api_name(field)}"
    return must(
        field,
        f"protocol {name} requires ipVersion {version}",
        lambda r: checks.icmp_version(getattr(r, field)) != version or r.ip_version == version,
        cel=Cel(
            f"(!has({self}) || ({self} != '{name}' && {self} != {number})) || "
            f"!has(self.ipVersion) || self.ipVersion == {version}"
        ),
    )


def without_global(field: str) -> Validator[Any]:
    """The field is a selector, and global() is not in it."""
    self = f"self.{api_name(field)}"
    return text(
        field,
        checks.local_selector,
        cel=Cel(f"!has({self}) || !{self}.contains('global(')", message=checks.MISPLACED_GLOBAL),
    )


def _some_but_not_all(text_: str) -> None:
    if checks.cidr(text_).length == 0:
        raise ValueError(f"{text_} leaves nothing that could match")


def _path_text(value: str) -> None:
    if not value.startswith("/") or any(character in value for character in "?# "):
        raise ValueError(f"{value!r} must begin with / and hold no ?, # or space")


ICMP_RULES: Validators[IcmpFields] = (
    must(
        "code",
        "ICMP code specified without an ICMP type",
        lambda i: i.code is None or i.type is not None,
        cel=Cel("!has(self.code) || has(self.type)"),
    ),
)

HTTP_RULES: Validators[HttpMatch] = (
    unique("methods"),
    items(
        "paths",
        (
            must(
                "",
                "exactly one of exact and prefix must be set",
                lambda p: bool(p.exact) != bool(p.prefix),
            ),
            text("exact", _path_text),
            text("prefix", _path_text),
        ),
    ),
)

ENTITY_RULES: Validators[EntityRule] = (
    each("nets", checks.cidr),
    unique("nets"),
    each("not_nets", _some_but_not_all),
    unique("not_nets"),
    without_global("selector"),
    text("not_selector", checks.local_selector),
    text("namespace_selector", checks.namespace_selector),
    each("ports", checks.port),
    each("not_ports", checks.port),
    inside("service_accounts", (unique("names"), text("selector", checks.local_selector))),
    given(
        "services",
        must(
            "services",
            "services must specify a service name",
            lambda e: e.services is None or e.services.name,
            cel=Cel("!has(self.services) || size(self.services.name) > 0", REQUIRED),
        ),
        must(
            "namespace_selector",
            "cannot specify NamespaceSelector and Services on the same rule",
            lambda e: not e.namespace_selector,
            cel=Cel(
                "!has(self.services) || !has(self.namespaceSelector) || "
                "size(self.namespaceSelector) == 0",
                FORBIDDEN,
            ),
        ),
        must(
            "service_accounts",
            "cannot specify ServiceAccounts and Services on the same rule",
            lambda e: e.service_accounts is None,
            cel=Cel(
                "!has(self.services) || !has(self.serviceAccounts)",
                FORBIDDEN,
            ),
        ),
        must(
            "selector",
            "cannot specify Selector/NotSelector and Services on the same rule",
            lambda e: not (e.selector or e.not_selector),
            cel=Cel(
                "!has(self.services) || (!has(self.selector) || size(self.selector) == 0) && "
                "(!has(self.notSelector) || size(self.notSelector) == 0)",
                FORBIDDEN,
            ),
        ),
        must(
            "nets",
            "cannot specify Nets/NotNets and Services on the same rule",
            lambda e: not (e.nets or e.not_nets),
            cel=Cel(
                "!has(self.services) || (!has(self.nets) || "
                "size(self.nets) == 0) && (!has(self.notNets) || size(self.notNets) == 0)",
                FORBIDDEN,
            ),
        ),
    ),
)

RULE_RULES: Validators[Rule] = (
    number_or_text("protocol", checks.protocol),
    number_or_text("not_protocol", checks.protocol),
    inside("icmp", ICMP_RULES),
    inside("not_icmp", ICMP_RULES),
    inside("source", ENTITY_RULES),
    inside("destination", ENTITY_RULES),
    inside("http", HTTP_RULES),
    inside("metadata", (pairs("annotations", checks.annotation_key, str),)),
    given(
        "http",
        must(
            "http",
            "rules with HTTP match must have protocol TCP or unset",
            lambda r: r.protocol is None or checks.is_tcp(r.protocol),
            cel=Cel(
                "!has(self.http) || !has(self.protocol) || self.protocol == 'TCP' || "
                "self.protocol == 6"
            ),
        ),
        must(
            "http",
            "HTTP match is only valid on Allow rules",
            lambda r: r.action == "Allow",
            cel=Cel(
                "self.action == 'Allow' || !has(self.http)",
                FORBIDDEN,
            ),
        ),
    ),
    must(
        "destination",
        "ports and notPorts cannot be specified with services",
        lambda r: not _service_with_ports(r.destination),
        cel=Cel(
            "!has(self.destination) || !has(self.destination.services) || "
            "(!has(self.destination.ports) || size(self.destination.ports) == 0) && "
            "(!has(self.destination.notPorts) || size(self.destination.notPorts) == 0)",
            FORBIDDEN,
        ),
    ),
    must(
        "icmp",
        "ICMP fields require protocol to be ICMP or ICMPv6",
        lambda r: r.icmp is None or checks.is_icmp(r.protocol),
        cel=Cel(
            "!has(self.icmp) || (has(self.protocol) && (self.protocol == 'ICMP' || "
            "self.protocol == 'ICMPv6' || self.protocol == 1 || self.protocol == 58))"
        ),
    ),
    given(
        "ip_version",
        *(_icmp_version(field, *icmp) for field in _PROTOCOLS for icmp in _ICMP_VERSIONS),
    ),
    Validator(lambda r: len(_families(r)) < 2, False, _families_differ),
    must("protocol", "ports need protocol TCP, UDP or SCTP", _ports_fit),
)
"""What every rule keeps, whatever policy it is part of."""

INGRESS_RULES: Validators[Rule] = (
    *RULE_RULES,
    must(
        "destination",
        "services are for an ingress rule's source or an egress rule's destination",
        lambda r: r.destination is None or r.destination.services is None,
    ),
)

EGRESS_RULES: Validators[Rule] = (
    *RULE_RULES,
    must(
        "source",
        "services are for an ingress rule's source or an egress rule's destination",
        lambda r: r.source is None or r.source.services is None,
    ),
    must("http", "HTTP matches are for ingress rules", lambda r: r.http is None),
)
