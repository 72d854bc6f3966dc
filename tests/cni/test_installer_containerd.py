"""What the installer leaves, read by a real containerd: configuration, plugin, interpreter."""

import json
import subprocess

import pytest

from cni.node import BOUND
from servers.containerd import containerd, lacking_containerd
from tortie.cli.main import main
from tortie.cni.installer.interpreter import PREFIX

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(lacking_containerd()), reason=lacking_containerd()),
]


def test_containerd_attaches_by_what_was_installed(
    ready_node, tmp_path_factory, monkeypatch, capsys
):
    node = ready_node
    folder = tmp_path_factory.mktemp("c")  # its sockets' paths have to be short
    with containerd(folder / "containerd", node.netns, node.plugin.parent) as runtime:
        folders = ["--bin-dir", str(node.plugin.parent)]
        folders += ["--conf-dir", str(runtime.place.configurations)]
        socket = ["--agent-socket", str(node.run_dir / "agent.sock")]
        own = ["--own-interpreter", "--plugins", "/usr/lib/cni"]
        monkeypatch.setenv("CNI_BIN_DIR", "/opt/cni/bin")  # as containerd sees it
        assert main(["cni", "install", *folders, *socket, *own]) == 0
        assert f"#!/opt/cni/bin/{PREFIX}" in node.plugin.read_text()
        done = subprocess.run(
            runtime.run_command("web", "ip", "-o", "address", "show", "eth0"),
            capture_output=True,
            text=True,
            timeout=2 * BOUND,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode, " 10.77.0." in done.stdout) == (0, True), done.stderr
        installed = json.loads((runtime.place.configurations / "10-calico.conflist").read_text())
        chained = [plugin["type"] for plugin in installed["plugins"]]
        assert chained == ["calico", "portmap", "bandwidth"]
        assert main(["cni", "remove", *folders]) == 0
        assert list(runtime.place.configurations.iterdir()) == []
    capsys.readouterr()
