"""Routing rules: what `ip rule` does."""

import errno
from collections.abc import Sequence

from tortie.linux.netlink.rtrule import (
    RTM_DELRULE,
    RTM_GETRULE,
    RTM_NEWRULE,
    Rule,
    build_rule,
    build_rule_query,
    parse_rule,
)
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_CREATE, NLM_F_EXCL


class Rules:
    """The routing rules of the socket's namespace. Everything raises NetlinkError."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self._sock = sock

    def list(self, version: int) -> Sequence[Rule]:
        """All of one family."""
        request = Request(RTM_GETRULE, build_rule_query(version), about="listing the rules")
        return [parse_rule(message.payload) for message in self._sock.dump(request)]

    def add(self, rule: Rule) -> None:
        """Add one; having it already is no error."""
        flags = NLM_F_CREATE | NLM_F_EXCL
        about = f"adding rule {rule.priority}"
        self._ask(Request(RTM_NEWRULE, build_rule(rule), flags, about), errno.EEXIST)

    def delete(self, rule: Rule) -> None:
        """Delete one; not having it is no error."""
        about = f"deleting rule {rule.priority}"
        self._ask(Request(RTM_DELRULE, build_rule(rule), 0, about), errno.ENOENT)

    def _ask(self, request: Request, harmless: int) -> None:
        try:
            self._sock.request(request)
        except NetlinkError as error:
            if error.errno != harmless:
                raise
