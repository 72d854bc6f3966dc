"""From the selector fields of policies and rules to one selector over endpoints' labels.

Endpoints carry their namespace's labels prefixed "pcns." and their service account's prefixed
"pcsa.", so every kind of selector becomes a selector over the same labels:

- in a namespaced policy, whatever selects endpoints without a namespaceSelector stays within the
  policy's namespace; that goes for a lone notSelector too;
- in a namespaceSelector `all()` means every namespace and `global()` means none, so neither can
  be confused with "everything there is".
"""

from functools import lru_cache
from typing import NamedTuple

from tortie.api import EntityRule, NetworkPolicySpec, ServiceAccountMatch
from tortie.kubernetes.names import (
    NAMESPACE_LABEL,
    NAMESPACE_PREFIX,
    SERVICE_ACCOUNT_LABEL,
    SERVICE_ACCOUNT_PREFIX,
)
from tortie.selectors import GLOBAL, Selector, SelectorError, all_of, parse
from tortie.selectors.tree import All, Equals, Has, In, Leaf, Not, map_leaves

NAMESPACED = Selector(Has(NAMESPACE_LABEL))
NOT_NAMESPACED = Selector(Not(Has(NAMESPACE_LABEL)))


class Unlowerable(ValueError):
    """A field that has no meaning here: `field` is its path inside the rule, `reason` says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Scope(NamedTuple):
    """Which endpoints a policy applies to.

    A part that can't be read counts as `all()`, and `problems` says so: the policy then covers
    more endpoints than was meant, never fewer.
    """

    selector: Selector
    problems: tuple[Unlowerable, ...]


def policy_scope(namespace: str, spec: NetworkPolicySpec) -> Scope:
    """The endpoints of a policy; `namespace` is empty for a cluster-wide one."""
    parts: list[Selector] = [_in_namespace(namespace)] if namespace else []
    problems = []
    namespaces = getattr(spec, "namespace_selector", "")
    for field, text, read in (
        ("namespaceSelector", namespaces, _namespaces),
        ("serviceAccountSelector", spec.service_account_selector, _service_accounts),
        ("selector", spec.selector, _plain),
    ):
        try:
            if text:
                parts.append(read(field, text))
        except Unlowerable as problem:
            problems.append(problem)
    return Scope(all_of(*parts), tuple(problems))


def peer_selectors(namespace: str, peer: EntityRule) -> tuple[Selector | None, Selector | None]:
    """What an end must be and what it must not be; None where the rule says nothing of it.

    Raises Unlowerable.
    """
    accounts = peer.service_accounts or _NO_ACCOUNTS
    return _peer_selectors(
        namespace,
        peer.namespace_selector,
        peer.selector,
        peer.not_selector,
        accounts.names,
        accounts.selector,
    )


_NO_ACCOUNTS = ServiceAccountMatch()


@lru_cache(maxsize=16384)
def _peer_selectors(
    namespace: str,
    namespaces: str,
    selector: str,
    not_selector: str,
    account_names: tuple[str, ...],
    account_selector: str,
) -> tuple[Selector | None, Selector | None]:
    parts = []
    if account_names:
        parts.append(Selector(In(SERVICE_ACCOUNT_LABEL, tuple(sorted(set(account_names))))))
    if account_selector:
        parts.append(_service_accounts("serviceAccounts.selector", account_selector))
    if selector:
        parts.append(_plain("selector", selector))
    if namespaces:
        parts.insert(0, _namespaces("namespaceSelector", namespaces))
    elif namespace and (parts or not_selector):
        parts.insert(0, _in_namespace(namespace))
    return (
        all_of(*parts) if parts else None,
        _plain("notSelector", not_selector) if not_selector else None,
    )


@lru_cache(maxsize=16384)
def _in_namespace(namespace: str) -> Selector:
    return Selector(Equals(NAMESPACE_LABEL, namespace))


def _plain(field: str, text: str) -> Selector:
    return _without_global(field, _parsed(field, text))


def _service_accounts(field: str, text: str) -> Selector:
    return _without_global(field, _parsed(field, text)).with_prefix(SERVICE_ACCOUNT_PREFIX)


def _namespaces(field: str, text: str) -> Selector:
    selector = _parsed(field, text)
    if selector == GLOBAL:
        return NOT_NAMESPACED
    prefixed = _without_global(field, selector).with_prefix(NAMESPACE_PREFIX)
    return Selector(map_leaves(prefixed.tree, _every_namespace))


def _every_namespace(leaf: Leaf) -> Leaf:
    return Has(NAMESPACE_LABEL) if isinstance(leaf, All) else leaf


def _parsed(field: str, text: str) -> Selector:
    try:
        return parse(text)
    except SelectorError as error:
        raise Unlowerable(field, error.reason) from None


def _without_global(field: str, selector: Selector) -> Selector:
    if selector.mentions_global:
        raise Unlowerable(field, "global() stands alone, and only in a rule's namespaceSelector")
    return selector
