"""What is told of a node's agent."""

import os

from tortie.lab import nodes
from tortie.lab.journal import Process
from tortie.lab.plan import plan_lab


def test_what_a_driver_could_not_do_is_told_in_words() -> None:
    failure = {"driver": "ipip", "subject": "tunl0", "message": "no such device"}
    reply = {"ready": False, "failures": [failure, {**failure, "driver": "vxlan"}]}
    (node,) = plan_lab("t", 1).nodes
    found = nodes._status(node, Process("agent-node-1", os.getpid(), 0), reply)
    assert found.reason == "ipip: tunl0: no such device; vxlan: tunl0: no such device"
    assert found.state == "waiting"
