"""What is away when the daemon starts, and what it does then."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bgp.network import Network, Node, same_moment, until

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
    process = until(first.bird_process)
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
    process = until(first.bird_process)
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
        node.command(*command), capture_output=True, text=True, timeout=120, check=False
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
        timeout=120,
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
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "tortie bgp" in done.stderr


def test_a_change_is_told_though_birds_socket_was_removed(network: Network) -> None:
    """BIRD can't be told any more: it makes room for another, which is."""
    network.apply(_PEER)
    first, second = network.node("n1", 1), network.node("n2", 2)
    for node in (first, second):
        node.start()
    first.wait_up("Mesh_172_16_0_2")
    (first.bird_folder / "bird.ctl").unlink()
    network.block("n1", "10.65.1.0/26")
    said = until(lambda: _problems(first))
    assert any("has not been told of the last changes" in each for each in said)
    until(lambda: "10.65.1.0/26" in second.routes())
    until(lambda: not _problems(first))


def _problems(node: Node) -> list[str]:
    return list((node.asks() or {"problems": []})["problems"])


def _unreadable(place: Path) -> None:
    """A Secret of which it can't be known what it says: no file, but a folder."""
    with suppress(FileNotFoundError):
        place.unlink()
    place.mkdir(parents=True)


def test_a_secret_that_can_not_be_read_costs_the_new_session_alone(network: Network) -> None:
    network.apply(_PEER)
    first, second = network.node("n1", 1), network.node("n2", 2)
    _unreadable(network.folder / "secrets" / "bgp" / "tor")
    first.start(TORTIE_BGP_SECRETS=str(network.folder / "secrets"))
    second.start()
    first.wait_up("Mesh_172_16_0_2")
    network.apply(
        """
        apiVersion: projectcalico.org/v3
        kind: BGPPeer
        metadata: {name: tor}
        spec: {peerIP: 172.16.0.254, asNumber: 65000,
               password: {secretKeyRef: {name: bgp, key: tor}}}
        """
    )
    (said,) = until(lambda: _problems(first))
    assert said.startswith("BGPPeer(tor): password: Secret 'bgp', key 'tor': it can't be read")
    network.block("n1", "10.65.1.0/26")
    until(lambda: "10.65.1.0/26" in second.routes())
    assert set(first.sessions()) == {"Mesh_172_16_0_2", "Mesh_fd16__2"}


def test_a_session_outlives_its_secret_and_a_new_daemon_and_the_rest_goes_on(
    network: Network,
) -> None:
    """The next daemon can't know the password; what BIRD has of it stays."""
    network.apply(
        _PEER,
        """
        apiVersion: projectcalico.org/v3
        kind: BGPConfiguration
        metadata: {name: default}
        spec: {nodeMeshPassword: {secretKeyRef: {name: bgp, key: mesh}}}
        """,
    )
    secret = network.folder / "secrets" / "bgp" / "mesh"
    secret.parent.mkdir(parents=True)
    secret.write_text("hush")
    first, second = network.node("n1", 1), network.node("n2", 2)
    for node in (first, second):
        node.start(TORTIE_BGP_SECRETS=str(network.folder / "secrets"))
    before = first.wait_up("Mesh_172_16_0_2")["Mesh_172_16_0_2"]["since"]
    first.stop(signal.SIGKILL)
    _unreadable(secret)
    first.start(TORTIE_BGP_SECRETS=str(network.folder / "secrets"))
    until(lambda: any("it can't be read" in each for each in _problems(first)))
    network.block("n1", "10.65.1.0/26")
    until(lambda: "10.65.1.0/26" in second.routes())
    assert same_moment(first.sessions()["Mesh_172_16_0_2"]["since"], before)
    assert "hush" not in first.log + str(first.asks())
