"""The image: what its recipe makes, and that a real containerd runs it as the manifests say.

Building it takes a minute and a network: `make test-image` does. Without it a small image, written
by the same code, is loaded and run.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tools.image import archive, layers
from tools.image.__main__ import build
from tools.image.python_parts import requirements
from tools.image.recipe import PACKAGES, PROCESSORS, UNUSED, this_processor

from servers.busybox_image import busybox
from servers.containerd import containerd, lacking_containerd
from tortie.api.manifests import read_manifests
from tortie.cli import writing
from tortie.datastore import open_datastore
from tortie.install.manifests.choices import IMAGE
from tortie.node.resource import ensure_node

EPOCH = 1_700_000_000
WAIT = 60.0
WHOLE = bool(os.environ.get("TORTIE_IMAGE_TESTS"))
needs_containerd = pytest.mark.skipif(
    bool(lacking_containerd()), reason=lacking_containerd() or "-"
)
whole = pytest.mark.skipif(not WHOLE, reason="`make test-image` builds the image and runs this")
PROCESSOR = PROCESSORS.get(this_processor(), PROCESSORS["amd64"])


def a_root(folder):
    """A root with a file of each kind, and Debian's static busybox."""
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "proc").mkdir()
    found = busybox()
    assert found is not None
    shutil.copy(found, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for name in ("sh", "cat", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "said").write_text("hello\n")
    return root


def small_image(folder):
    root = a_root(folder)
    layer = layers.pack(root, {}, folder / "one.tar.gz", EPOCH)
    before = layers.tree(root)
    (root / "later").write_text("more\n")
    second = layers.pack(root, before, folder / "two.tar.gz", EPOCH)
    target = folder / "image.tar"
    digest = archive.write([layer, second], PROCESSOR, target, EPOCH)
    return target, digest


def test_the_same_files_give_the_same_image_whenever_it_is_made(tmp_path):
    found = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        target, digest = small_image(folder)
        found.append((digest, target.read_bytes()))
        time.sleep(0.02)
    assert found[0] == found[1]


def test_a_later_layer_has_only_what_came_since(tmp_path):
    target, _ = small_image(tmp_path)
    with tarfile.open(target) as opened:
        manifest = json.loads(opened.extractfile("index.json").read())["manifests"][0]
        blob = manifest["digest"].replace(":", "/")
        described = json.loads(opened.extractfile(f"blobs/{blob}").read())["layers"]
        data = opened.extractfile("blobs/" + described[1]["digest"].replace(":", "/"))
        with tarfile.open(fileobj=data, mode="r:gz") as second:
            assert second.getnames() == ["later"]
            (entry,) = second.getmembers()
            assert (entry.uid, entry.gid, entry.mtime) == (0, 0, EPOCH)


def test_the_image_has_what_we_need_to_run_and_nothing_of_tests():
    names = {each.partition("==")[0] for each in requirements()}
    assert {"grpcio", "httpx", "msgspec", "cryptography", "pyroaring"} <= names
    assert not {"pytest", "hypothesis", "mypy", "ruff", "grpcio-tools"} & names
    assert not UNUSED & set(PACKAGES)


@contextmanager
def network():
    """A namespace with a link to another one: "near" for containers, "far" for who asks."""
    near, far = (f"tortie-im{os.getpid()}{end}" for end in "nf")
    try:
        for words in (
            f"ip netns add {near}",
            f"ip netns add {far}",
            f"ip -n {near} link add eth9 type veth peer name eth9 netns {far}",
            f"ip -n {near} address add 172.31.9.1/24 dev eth9",
            f"ip -n {far} address add 172.31.9.2/24 dev eth9",
            f"ip -n {near} link set eth9 up",
            f"ip -n {far} link set eth9 up",
            f"ip -n {near} link set lo up",
        ):
            subprocess.run(words.split(), check=True, timeout=WAIT)
        yield near, far
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=WAIT)


@contextmanager
def runtime(image):
    """A containerd in the first namespace, with this image loaded."""
    with tempfile.TemporaryDirectory(prefix="tortie-im-") as name, network() as (near, far):
        plugins = Path(name, "plugins")
        plugins.mkdir()
        with containerd(Path(name, "place"), f"/run/netns/{near}", plugins) as found:
            loaded = found.ctr("images", "import", "--snapshotter", "native", str(image))
            assert loaded.returncode == 0, loaded.stderr
            yield found, near, far


def run_once(found, name, *words, options=()):
    """A container's output, when it has ended."""
    base = ("run", "--rm", "--snapshotter", "native", *options)
    return found.ctr(*base, IMAGE, name, *words)


@pytest.mark.root
@needs_containerd
def test_containerd_loads_and_runs_what_the_recipe_writes(tmp_path):
    image, digest = small_image(tmp_path)
    with runtime(image) as (found, _, _):
        listed = found.ctr("images", "ls", f"name=={IMAGE}").stdout
        assert digest in listed
        done = run_once(found, "a", "/bin/cat", "/said", "/later")
        assert done.stdout == "hello\nmore\n", done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The whole image, built here, or the file that TORTIE_IMAGE_TESTS names."""
    if (named := Path(os.environ["TORTIE_IMAGE_TESTS"])).is_file():
        return named.resolve(), ""
    target = tmp_path_factory.mktemp("image") / "image.tar"
    digest = build(this_processor(), target, EPOCH)
    return target, digest


@pytest.fixture(scope="module")
def place(image):
    with runtime(image[0]) as found:
        yield found


@whole
def test_building_it_again_gives_the_same_image(image, tmp_path):
    first = image[1] or build(this_processor(), tmp_path / "first.tar", EPOCH)
    assert build(this_processor(), tmp_path / "again.tar", EPOCH) == first


@whole
def test_it_is_of_a_sensible_size(image):
    assert image[0].stat().st_size < 80e6


@whole
@pytest.mark.root
@needs_containerd
@pytest.mark.parametrize(
    ("command", "least"),
    [
        ("iptables --version", (1, 4, 7)),
        ("ip6tables --version", (1, 4, 7)),
        ("iptables-legacy --version", (1, 4, 7)),
        ("ipset --version", (6, 11)),
        ("conntrack --version", (1, 4, 1)),
        ("nft --version", (0, 9)),
        ("bird --version", (2, 0)),
        ("wireguard-go --version", (0, 0, 2)),
        ("ip -V", (5,)),
        ("ping -V", (2021,)),
        ("python3 --version", (3, 11)),
        ("tortie version", (0, 1)),
    ],
)
def test_it_has_the_tools_of_a_node_at_their_versions(place, command, least):
    """Row N8 of the requirements, and what else we call."""
    found, _, _ = place
    done = run_once(found, command.split()[0], *command.split(), options=("--privileged",))
    said = done.stdout + done.stderr
    numbers = re.search(r"\d+(?:\.\d+)*", said.replace("iproute2-", "").replace("ipv6", ""))
    assert numbers is not None, said
    assert tuple(map(int, numbers[0].split("."))) >= least, said


POLICY = """
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: n1-eth9, labels: {role: node}}
spec: {node: n1, interfaceName: eth9}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: p}
spec:
  selector: role == 'node'
  ingress: [{action: Allow, protocol: TCP, destination: {ports: [8001]}}]
  egress: [{action: Allow}]
"""


def served(namespace, port):
    """Whether a listener in the first namespace is reached from the other one."""
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, "busybox", "nc", "-w", "2", "172.31.9.1", str(port)],
        capture_output=True,
        timeout=WAIT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def apply(path):
    async def run():
        store = await open_datastore(path)
        try:
            resources = [one.resource for one in read_manifests("policy", POLICY).resources]
            done = await writing.apply_all(store, resources)
            assert all(each.result == "created" for each in done), done
        finally:
            await store.close()

    asyncio.run(run())


def with_node(path):
    async def run():
        store = await open_datastore(path)
        try:
            await ensure_node(store, "n1", "172.31.9.1/24")
        finally:
            await store.close()

    asyncio.run(run())


@whole
@pytest.mark.root
@needs_containerd
def test_the_agent_in_it_programs_policy_as_the_daemon_set_would_run_it(place):
    found, near, far = place
    listeners = [
        subprocess.Popen(
            ["ip", "netns", "exec", near, sys.executable, "-m", "http.server", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port in (8001, 8002)
    ]
    deadline = time.monotonic() + WAIT
    while not (served(far, 8001) and served(far, 8002)):  # before there is any policy
        assert time.monotonic() < deadline
        time.sleep(0.1)
    state = found.place.folder / "state-of-tortie"
    state.mkdir()
    apply(f"{state}/tortie.db")
    started = found.ctr(
        *("run", "-d", "--privileged", "--net-host", "--snapshotter", "native"),
        *("--mount", f"type=bind,src={state},dst=/var/lib/tortie,options=rbind:rw"),
        *("--env", "NODENAME=n1", "--env", "FELIX_HEALTHENABLED=true"),
        *(IMAGE, "agent", "tortie", "agent", "--address", "172.31.9.1/24"),
    )
    try:
        assert started.returncode == 0, started.stderr
        deadline = time.monotonic() + WAIT
        health = ("tasks", "exec", "--exec-id", "h", "agent", "tortie", "node", "health")
        while (asked := found.ctr(*health, "--felix-ready")).returncode:
            assert time.monotonic() < deadline, asked.stdout + asked.stderr
            time.sleep(0.2)
        assert served(far, 8001)
        assert not served(far, 8002)
    finally:
        for each in listeners:
            each.kill()
            each.wait()
        found.ctr("tasks", "kill", "-s", "SIGKILL", "agent")
        found.ctr("tasks", "rm", "-f", "agent")
        found.ctr("containers", "rm", "agent")


BGP_LOSES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "SETGID", "SETUID", "SETFCAP"),
    *("SETPCAP", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)


@whole
@pytest.mark.root
@needs_containerd
def test_bird_runs_in_it_with_the_three_capabilities_of_the_daemon_set(place):
    found, _, _ = place
    state = found.place.folder / "state-of-bgp"
    state.mkdir()
    with_node(f"{state}/tortie.db")
    dropped = [word for name in BGP_LOSES for word in ("--cap-drop", f"CAP_{name}")]
    started = found.ctr(
        *("run", "-d", "--net-host", "--snapshotter", "native", *dropped),
        *("--mount", f"type=bind,src={state},dst=/var/lib/tortie,options=rbind:rw"),
        *("--cap-add", "CAP_NET_ADMIN", "--env", "NODENAME=n1"),
        *(IMAGE, "bgp", "tortie", "bgp"),
    )
    try:
        assert started.returncode == 0, started.stderr
        deadline = time.monotonic() + WAIT
        health = ("tasks", "exec", "--exec-id", "h", "bgp", "tortie", "node", "health")
        while (asked := found.ctr(*health, "--bird-live")).returncode:
            assert time.monotonic() < deadline, asked.stdout + asked.stderr
            time.sleep(0.2)
    finally:
        found.ctr("tasks", "kill", "-s", "SIGKILL", "bgp")
        found.ctr("tasks", "rm", "-f", "bgp")
        found.ctr("containers", "rm", "bgp")


@whole
@pytest.mark.root
@needs_containerd
def test_the_plugin_is_installed_from_it_without_any_right_but_roots_files(place):
    """As the DaemonSet's first container does: no capability, a root that can't be written."""
    found, _, _ = place
    binaries, networks = found.place.folder / "bin", found.place.folder / "networks"
    for each in (binaries, networks):
        each.mkdir()
    config = json.dumps(
        {"name": "n", "cniVersion": "0.3.1", "plugins": [{"type": "calico", "mtu": 1400}]}
    )
    done = run_once(
        found,
        "install",
        *("tortie", "cni", "install"),
        options=(
            "--read-only",
            *("--cap-drop", "CAP_SYS_ADMIN", "--cap-drop", "CAP_NET_ADMIN"),
            *("--mount", f"type=bind,src={binaries},dst=/host/opt/cni/bin,options=rbind:rw"),
            *("--mount", f"type=bind,src={networks},dst=/host/etc/cni/net.d,options=rbind:rw"),
            *("--env", f"CNI_NETWORK_CONFIG={config}", "--env", f"CNI_BIN_DIR={binaries}"),
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (networks / "10-calico.conflist").is_file()
    asked = subprocess.run(
        [str(binaries / "calico")],
        env={"CNI_COMMAND": "VERSION", "PATH": "/nonexistent"},
        input="{}",
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert "1.0.0" in asked.stdout, asked.stderr
    assert (binaries / "portmap").is_file()


@whole
@pytest.mark.root
@needs_containerd
def test_servers_run_in_it_without_being_root(place):
    """As the fan-out's and the controllers' pods: a user without a name, nothing to write on."""
    found, _, _ = place
    done = run_once(
        found,
        "nobody",
        *("setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups"),
        *("tortie", "fanout", "--help"),
        options=("--read-only",),
    )
    assert "usage: tortie fanout" in done.stdout, done.stderr
