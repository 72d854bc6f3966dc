"""A router that is no BIRD: FRR, as outside peer, with BFD of a neighbour on the same link."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bgp.network import Machine, Network, until

pytestmark = pytest.mark.root
FRR = Path("/usr/lib/frr")
_CONFIGURATIONS = {
    "zebra": "hostname tor\n",
    "bfdd": """
bfd
 peer 172.16.0.1
  detect-multiplier 3
  receive-interval 100
  transmit-interval 100
""",
    "bgpd": """
router bgp 65000
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp router-id 172.16.0.254
 neighbor 172.16.0.1 remote-as 64512
 neighbor 172.16.0.1 timers connect 1
 neighbor 172.16.0.1 password s3cret
 neighbor 172.16.0.1 bfd
 address-family ipv4 unicast
  network 203.0.113.0/24
""",
}
_PEER = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: four}
spec: {cidr: 10.65.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor, annotations: {tortie.io/bfd: 300ms}}
spec:
  peerIP: 172.16.0.254
  asNumber: 65000
  password: {secretKeyRef: {name: bgp, key: tor}}
"""


class Frr:
    """zebra, bfdd and bgpd in a machine's namespace."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self._folder = folder  # open to FRR's own account, unlike the tests'
        shutil.chown(folder, "frr", "frr")
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start them one by one."""
        for program, text in _CONFIGURATIONS.items():
            (self._folder / f"{program}.conf").write_text(text)
            self._start(program)
            until(lambda program=program: (self._folder / f"{program}.vty").exists(), said=program)

    def _start(self, program: str) -> None:
        folder = self._folder
        command = [str(FRR / program), "-f", f"{program}.conf", "-i", f"{program}.pid"]
        command += ["-z", "zserv", "--vty_socket", str(folder), "-P", "0", "--log", "stdout"]
        command += ["--bfdctl", str(folder / "bfdd.sock")] if program == "bfdd" else []
        with (folder / "log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(self.machine.command(*command), cwd=folder, stdout=log, stderr=log)
            )

    def show(self, words: str) -> Any:
        """The answer of vtysh, which speaks JSON."""
        command = ["vtysh", "--vty_socket", str(self._folder), "-c", f"{words} json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return {}

    def stop(self) -> None:
        """End them."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def frr(network: Network) -> Iterator[Frr]:
    """FRR on the switch."""
    if not (FRR / "bgpd").exists() or shutil.which("vtysh") is None:
        pytest.skip("FRR is not installed (Debian: frr)")
    with tempfile.TemporaryDirectory() as folder:
        found = Frr(network.router("tor", 254), Path(folder))
        try:
            found.start()
            yield found
        finally:
            found.stop()


def test_frr_is_a_peer_with_a_password_and_bfd(network: Network, frr: Frr) -> None:
    secrets = network.folder / "secrets" / "bgp"
    secrets.mkdir(parents=True)
    (secrets / "tor").write_bytes(b"s3cret")
    network.apply(_PEER)
    node = network.node("n1", 1)
    network.block("n1", "10.65.1.0/26")
    node.start(TORTIE_BGP_SECRETS=str(secrets.parent))
    node.wait_up("Global_172_16_0_254")
    until(lambda: node.routes().get("203.0.113.0/24", {}).get("gateway") == "172.16.0.254")
    until(lambda: "10.65.1.0/26" in frr.show("show bgp ipv4 unicast").get("routes", {}))
    until(lambda: any(peer.get("status") == "up" for peer in frr.show("show bfd peers")))
    frr.machine.cut()
    until(lambda: "203.0.113.0/24" not in node.routes(), seconds=10)
