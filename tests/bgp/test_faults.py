"""What is away when the daemon starts, and what it does then."""

import os
import signal
import subprocess
import sys

import pytest

from bgp.network import Network, until

pytestmark = pytest.mark.root

_PEER = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
"""


def test_a_datastore_that_is_away_leaves_the_last_configuration_in_force(
    network: Network,
) -> None:
    """Daemon and BIRD are killed; the next start has nobody to ask but the last file."""
    network.apply(_PEER)
    nodes = [network.node(f"n{number}", number) for number in (1, 2)]
    for number, node in enumerate(nodes, 1):
        network.block(node.name, f"10.65.{number}.0/26")
        node.start()
    first, second = nodes
    first.wait_up("Mesh_172_16_0_2")
    first.stop(signal.SIGKILL)
    process = first.bird_process()
    os.kill(process, signal.SIGKILL)
    until(lambda: second.sessions()["Mesh_172_16_0_1"]["state"] != "Established")
    first.start(datastore="etcd:http://127.0.0.1:1")
    second.wait_up("Mesh_172_16_0_1")
    status = first.asks()
    assert status is not None
    assert not status["in_sync"]
    until(lambda: "10.65.2.0/26" in first.routes())


def test_another_datastore_is_not_followed_and_bird_goes_on(network: Network) -> None:
    network.apply(_PEER)
    first, second = network.node("n1", 1), network.node("n2", 2)
    for node in (first, second):
        node.start()
    first.wait_up("Mesh_172_16_0_2")
    first.stop(signal.SIGKILL)
    process = first.bird_process()
    first.start(datastore=f"sqlite:{network.folder}/another.db")
    assert first.daemon is not None
    assert first.daemon.wait(30) == 1
    assert "is not the datastore" in first.log
    assert first.bird_process() == process
    first.daemon = None


def test_a_second_daemon_of_a_node_is_refused(network: Network) -> None:
    network.apply(_PEER)
    node = network.node("n1", 1)
    node.start()
    until(node.asks)
    command = [sys.executable, "-m", "tortie.cli", "bgp", "--node", "n1"]
    command += ["--run-dir", str(node.folder), "--datastore", f"sqlite:{network.store}"]
    done = subprocess.run(
        node.command(*command), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "already runs on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CALICO_ROUTER_ID": "x"}, "CALICO_ROUTER_ID='x'"),
        ({"FELIX_INTERFACEPREFIX": 'a"; b'}, "FELIX_INTERFACEPREFIX"),
        ({"PATH": "/nowhere", "NODENAME": "UPPER_case"}, "the node's name"),
    ],
)
def test_wrong_settings_stop_the_start(
    network: Network, environ: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tortie.cli", "bgp", "--run-dir", str(network.folder / "run")],
        env={"NODENAME": "n1", "PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_status_says_that_no_daemon_runs(network: Network) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tortie.cli", "node", "status", "--run-dir", str(network.folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "tortie bgp" in done.stderr
