"""EndDeniedFlows: connections that a change of policy denies end, no others; in each firewall."""

import select
import socket
import subprocess
from contextlib import suppress

import pytest
from msgspec.structs import replace

from agent.test_process import only_port
from cni.node import BOUND, RealNode, until
from cni.traffic import reaches, udp_socket
from tortie.api import EntityRule, Key, ObjectMeta
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.linux.namespaces import in_namespace

pytestmark = pytest.mark.root

FIREWALLS = {
    "nftables": {},
    "iptables-legacy": {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": "Legacy"},
    "iptables-nft": {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": "NFT"},
}
PORT = 5000
ROUNDS = 20


@pytest.fixture(params=FIREWALLS)
def node(request, tmp_path):
    environ = {**FIREWALLS[request.param], "FELIX_ENDDENIEDFLOWS": "Enabled"}
    made = RealNode(tmp_path, environ=environ)
    yield made
    made.close()


class Talk:
    """An open TCP connection and an open UDP flow, from one container to another."""

    def __init__(self, client, server, listening):
        address = server[1].partition("/")[0]
        with in_namespace(client[0]):
            self.tcp = socket.create_connection((address, PORT), timeout=BOUND)
        self.far, _ = listening.accept()
        self.udp = udp_socket(client[0])
        self.udp.connect((address, PORT))

    def forth(self, receiver, text, patience=0.2):
        """Which of TCP and UDP bring a text to the server, within so many seconds."""
        self.tcp.send(text)
        with suppress(PermissionError):
            self.udp.send(text)
        return received(self.far, text, patience), received(receiver, text)

    def back(self, text):
        """Whether TCP brings what the server says by itself."""
        self.far.send(text)
        return received(self.tcp, text)

    def close(self):
        for one in (self.tcp, self.far, self.udp):
            one.close()


_SEEN = {}


def received(sock, text, patience=0.0):
    """Whether it has come by now, or comes within so many seconds."""
    seen = _SEEN.setdefault(sock, bytearray())
    while text not in seen and select.select([sock], [], [], patience)[0]:
        seen += sock.recv(65536)
    return text in seen


def allowing(clients):
    """Clients of this selector may reach the server by TCP and UDP; nobody else."""
    policy = only_port(PORT)
    rules = tuple(
        replace(policy.spec.ingress[0], protocol=protocol, source=EntityRule(selector=clients))
        for protocol in ("TCP", "UDP")
    )
    return replace(policy, spec=replace(policy.spec, ingress=rules))


def change(node, policy):
    """Replace the stored policy, until it is in force."""

    async def work(store):
        stored = await store.get(policy.key)
        return await store.update(replace(policy, metadata=stored.metadata))

    node.applied(int(node.store(work).metadata.resource_version))


@pytest.fixture
def world(node):
    """Two clients that talk to a server."""
    node.start_ready()
    node.applied(node.put(allowing("app in {'one', 'two'}")))
    one, two = node.attach("one", app="one"), node.attach("two", app="two")
    server = node.attach("server", app="server")
    until(lambda: reaches(one, server, PORT), "the allowed packets")
    with in_namespace(server[0]):
        listening = socket.create_server((server[1].partition("/")[0], PORT))
    receiver = udp_socket(server[0], port=PORT)
    talks = [Talk(client, server, listening) for client in (one, two)]
    for talk in talks:
        exchanged(talk, receiver, 0)
    yield node, talks, receiver
    for opened in (*talks, listening, receiver):
        opened.close()
    _SEEN.clear()


def exchanged(talk, receiver, number):
    """One round in which all must come."""
    text = b"<%d %d>" % (id(talk), number)
    talk.tcp.send(text)
    talk.udp.send(text)
    talk.far.send(text)
    ways = ((talk.far, "TCP"), (receiver, "UDP"), (talk.tcp, "TCP back"))
    for sock, what in ways:
        assert received(sock, text, BOUND), f"{what} lost {text!r}"
    receiver.sendto(text, talk.udp.getsockname())  # answered, it counts as established
    assert received(talk.udp, text, BOUND), f"UDP back lost {text!r}"


def test_what_a_new_policy_denies_ends_and_the_rest_goes_on(world):
    node, (denied, allowed), receiver = world
    for number in range(ROUNDS):
        exchanged(denied, receiver, number)
        exchanged(allowed, receiver, number)
    change(node, allowing("app == 'two'"))
    for number in range(ROUNDS):
        text = b"<late %d>" % number
        assert denied.forth(receiver, text, 0.0) == (False, False)
        assert not denied.back(text)  # the server's own packets must not begin it anew
        exchanged(allowed, receiver, ROUNDS + number)
    for sock in (denied.far, denied.tcp, receiver):
        assert not received(sock, b"<late")


def test_a_connection_that_is_allowed_again_goes_on(world):
    node, (denied, _), receiver = world
    change(node, allowing("app == 'two'"))
    assert denied.forth(receiver, b"<held>") == (False, False)
    change(node, allowing("app in {'one', 'two'}"))
    assert received(denied.far, b"<held>", BOUND)  # TCP sends it again
    exchanged(denied, receiver, 1)


def test_a_label_that_changes_ends_the_connections_of_one_workload(world):
    """Only the members of a set change: one address is looked at."""
    node, (denied, allowed), receiver = world

    async def relabel(store):
        pod = await store.get(Key("Pod", "default", "one"))
        metadata = replace(pod.metadata, labels={"app": "other"})
        return await store.update(replace(pod, metadata=metadata))

    node.applied(int(node.store(relabel).metadata.resource_version))
    assert denied.forth(receiver, b"<gone>") == (False, False)
    exchanged(allowed, receiver, 1)


def test_what_changed_while_no_agent_ran_ends_once_one_does(world):
    node, (denied, allowed), receiver = world
    node.kill()

    async def work(store):
        policy = allowing("app == 'two'")
        stored = await store.get(policy.key)
        return await store.update(replace(policy, metadata=stored.metadata))

    node.store(work)
    exchanged(denied, receiver, 1)
    node.start_ready()
    assert denied.forth(receiver, b"<gone>") == (False, False)
    exchanged(allowed, receiver, 2)


def test_by_default_they_go_on_and_the_datastore_can_say_otherwise(tmp_path):
    made = RealNode(tmp_path)
    try:
        made.start_ready()
        made.applied(made.put(allowing("app in {'one', 'two'}")))
        one, server = made.attach("one", app="one"), made.attach("server", app="server")
        until(lambda: reaches(one, server, PORT), "the allowed packets")
        with in_namespace(server[0]):
            listening = socket.create_server((server[1].partition("/")[0], PORT))
        receiver = udp_socket(server[0], port=PORT)
        talk = Talk(one, server, listening)
        exchanged(talk, receiver, 0)
        change(made, allowing("app == 'two'"))
        exchanged(talk, receiver, 1)
        annotations = {"tortie/endDeniedFlows": "Enabled"}
        metadata = ObjectMeta(name="default", annotations=annotations)
        made.applied(made.put(FelixConfiguration(metadata=metadata, spec=FelixConfigurationSpec())))
        assert talk.forth(receiver, b"<late>") == (False, False)
        for opened in (talk, listening, receiver):
            opened.close()
    finally:
        _SEEN.clear()
        made.close()


def test_related_and_host_traffic_is_left_alone(world):
    """The node's own connections to a workload, and pings, as policy has them."""
    node, (denied, _), receiver = world
    with in_namespace(node.netns):
        tcp = socket.create_connection(denied.tcp.getpeername(), timeout=BOUND)
    change(node, allowing("app == 'nobody'"))
    tcp.send(b"<from the node>")
    tcp.close()
    assert denied.forth(receiver, b"<gone>") == (False, False)
    found = subprocess.run(
        ["nsenter", f"--net={node.netns}", "conntrack", "-L", "-p", "tcp"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    marked = [line for line in found.splitlines() if "mark=524288" in line]
    assert len(marked) == 2, found
