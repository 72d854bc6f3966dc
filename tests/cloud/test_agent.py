"""A real agent on a machine of a cloud: what it asks, what it waits for, what it says, its MTU."""

import sys
from contextlib import suppress

import pytest

from cloud.amazon import Amazon
from cni.node import RealNode, until
from servers.process import running
from tortie.api import IPPool, IPPoolSpec, ObjectMeta
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.cloud.source_check import PART
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket

pytestmark = pytest.mark.root
AZURE = "7783-7084-3265-9085-8269-3286-77"


@pytest.fixture
def amazon():
    cloud = Amazon()
    yield cloud
    cloud.close()


@pytest.fixture
def node(tmp_path):
    found = RealNode(tmp_path, vxlan="Always")
    (tmp_path / "dmi").mkdir()
    found.environ["TORTIE_DMI_DIR"] = str(tmp_path / "dmi")
    found.dmi = tmp_path / "dmi"
    yield found
    found.close()


def felix(**spec):
    metadata = ObjectMeta(name="default")
    return FelixConfiguration(metadata=metadata, spec=FelixConfigurationSpec(**spec))


def waits(node):
    """What the agent's readiness says of the check."""
    return [one for one in node.ask("status")["waiting_for"] if one.startswith(PART)]


def warned(node):
    """All warnings of the agent; none before it answers."""
    assert node.agent.poll() is None, node.log.read_text()
    with suppress(OSError):
        return "\n".join(node.ask("status")["warnings"])
    return ""


def test_amazon_is_asked_once_somebody_says_so_and_a_refusal_is_a_reason(node, amazon, tmp_path):
    (node.dmi / "sys_vendor").write_text("Amazon EC2\n")
    node.environ.update(amazon.environ)
    amazon.is_allowed = False
    relay = [sys.executable, "-m", "tortie.lab.relay", f"127.0.0.1/{amazon.port}", node.netns]
    with running(relay, tmp_path / "relay.log", lambda: True):
        node.start_ready()
        assert (amazon.metadata_asked, amazon.asked) == ([], [])
        node.put(felix(aws_src_dst_check="Disable"))
        until(lambda: "UnauthorizedOperation" in "".join(waits(node)), "the reason")
        assert "ec2:ModifyNetworkInterfaceAttribute" in waits(node)[0]
        assert amazon.checks is True
        amazon.is_allowed = True
        until(node.is_ready, "readiness")
        assert amazon.checks is False
    assert not [secret for secret in amazon.secrets if secret in node.log.read_text()]


def test_what_azure_drops_is_said(node):
    (node.dmi / "chassis_asset_tag").write_text(f"{AZURE}\n")
    spec = IPPoolSpec(cidr="10.78.0.0/24", ipip_mode="Always")
    node.put(IPPool(metadata=ObjectMeta(name="tunnelled"), spec=spec))
    node.start()  # where the kernel has no IPIP it does not become ready
    told = "IPPool tunnelled: ipipMode is Always, and Azure's network drops IP-in-IP"
    until(lambda: told in warned(node), "the warning")
    assert "IPPool pool:" not in warned(node)


@pytest.mark.parametrize(("cloud", "uplink"), [("Amazon", 9001), ("Google", 1460), ("Azure", 1500)])
def test_each_clouds_mtu_is_found_from_the_uplink(node, cloud, uplink):
    assert cloud
    with in_namespace(node.netns), NetlinkSocket() as sock:
        for name in ("eth0", "underlay"):
            Links(sock).set_mtu(name, uplink)
    node.start_ready()
    file = node.run_dir / "mtu"
    until(lambda: file.exists() and file.read_text() == f"{uplink - 50}\n", "the file")
    netns, _ = node.attach("web")
    with in_namespace(netns), NetlinkSocket() as sock:
        assert Links(sock).get("eth0").mtu == uplink - 50
