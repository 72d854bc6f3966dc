"""The agent as a process whose datastore is an etcd, which FELIX_* names: away, refusing, there."""

import subprocess
import sys
from contextlib import suppress

import pytest

from cni.node import BOUND, until
from servers.etcd_users import Admin
from servers.process import running

pytestmark = pytest.mark.root


def way_to(etcd, node):
    """Carries the node's connections to etcd while the block lasts."""
    port = etcd.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "tortie.lab.relay", f"127.0.0.1/{port}", node.netns]
    return running(command, etcd.folder / "relay.log", lambda: True)


def on_etcd(node, etcd, **environ):
    """Have the agent follow it, as FELIX_* says."""
    node.database = "etcd:"
    node.environ.update(FELIX_ETCDENDPOINTS=etcd.endpoint, **environ)


def reason(node):
    """Why the datastore is not followed; nothing while it is, or before the agent answers."""
    assert node.agent.poll() is None, node.log.read_text()
    with suppress(OSError, ValueError):
        return str(node.ask("status")["datastore"]["reason"])
    return ""


def test_an_etcd_that_is_away_at_the_start_is_waited_for_and_said(node, etcd):
    on_etcd(node, etcd)
    node.start()
    until(lambda: f"{etcd.endpoint} can't be reached" in reason(node), "the reason")
    with way_to(etcd, node):
        until(node.is_ready, "readiness")
        etcd.kill()
        until(lambda: etcd.endpoint in reason(node), "the loss to be said")
        until(lambda: not node.is_ready(), "the end of readiness")
        etcd.restart()
        until(node.is_ready, "readiness")


def test_a_wrong_password_is_said_and_not_given_up(node, etcd):
    Admin(etcd).enable()
    on_etcd(node, etcd, ETCD_USERNAME="agent", ETCD_PASSWORD="geheim")
    with way_to(etcd, node):
        node.start()
        until(lambda: "refuses the user 'agent'" in reason(node), "the reason")
        assert node.agent.poll() is None
        assert "geheim" not in node.log.read_text()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"FELIX_ETCDENDPOINTS": "nowhere"}, "$FELIX_ETCDENDPOINTS: 'nowhere' is no endpoint"),
        ({"FELIX_ETCDCAFILE": "/nowhere"}, "$FELIX_ETCDCAFILE: /nowhere: no such file"),
    ],
)
def test_settings_that_can_not_work_end_it_in_one_line_that_names_the_variable(
    node, environ, message
):
    node.database = "etcd:"
    given = {"FELIX_ETCDENDPOINTS": "https://127.0.0.1:1", **environ}
    command = ["env", *(f"{name}={value}" for name, value in given.items()), *node.command()]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    assert refused.returncode == 1
    line = refused.stderr.splitlines()[-1]
    assert line.startswith("tortie agent: ")
    assert message in line
