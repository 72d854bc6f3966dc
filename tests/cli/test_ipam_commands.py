"""`tortie ipam`: show, check, release, split, configure."""

import asyncio
import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from servers.kube import KubeServer
from strategies.command_line import Said, Tortie, Write
from tortie.api import IPAMBlock, IPAMHandle, IPAMHandleSpec, Key, ObjectMeta
from tortie.cli.commands import ipam_release
from tortie.controllers.pools import Pools
from tortie.datastore import Datastore, open_datastore
from tortie.ipam import IPAM, AssignRequest
from tortie.ipam.block import is_sound
from tortie.ipam.types import FixedRequest, ReleaseRequest
from tortie.net import Prefix, parse_address

CLUSTER = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.0.0.0/24, blockSize: 26}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n1}
spec: {}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {nodeName: n1, containers: [{name: c}]}
status: {phase: Running, podIP: ADDRESS}
"""


LARGE = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: v6}
spec: {cidr: "fd00::/48", blockSize: 122}
"""


def on_store(work: Callable[[Datastore], Awaitable[object]]) -> None:
    async def body() -> None:
        store = await open_datastore(os.environ["TORTIE_DATASTORE"])
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(body())


@pytest.fixture
def cluster(tortie: Tortie, write: Write) -> Tortie:
    """A pod that runs, and an address of a pod that is gone."""
    pool, *others = CLUSTER.split("---")
    assert tortie("apply", "-f", write("pool.yaml", pool)).status == 0
    given: list[str] = []

    async def assign(store: Datastore) -> None:
        for name in ("web", "gone"):
            about = {"namespace": "shop", "pod": name, "node": "n1"}
            asked = AssignRequest(node="n1", handle=f"net.{name}", attributes=about)
            (address,) = (await IPAM(store).auto_assign(asked)).ips
            given.append(str(address).removesuffix("/32"))

    on_store(assign)
    rest = "---".join(others).replace("ADDRESS", given[0])
    assert tortie("apply", "-f", write("rest.yaml", rest)).status == 0
    os.environ["WEB"], os.environ["GONE"] = given
    return tortie


@pytest.fixture(autouse=True)
def _addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB", "")
    monkeypatch.setenv("GONE", "")


def lines(said: Said) -> list[str]:
    assert said.err == ""
    return said.out.splitlines()


def test_show_tells_how_full_pools_and_blocks_are(cluster: Tortie) -> None:
    _, pool = lines(cluster("ipam", "show"))
    assert pool.split() == ["IP", "Pool", "10.0.0.0/24", "256", "2", "0", "0", "254"]
    blocks = lines(cluster("ipam", "show", "--show-blocks"))[2:]
    assert [line.split()[0] for line in blocks] == ["Block"]
    assert json.loads(cluster("ipam", "show", "-o", "json").out)[0]["free"] == 254


def test_show_tells_what_a_node_has_of_another_nodes_block(cluster: Tortie) -> None:
    def borrowed() -> list[list[str]]:
        return [line.split() for line in lines(cluster("ipam", "show", "--show-borrowed"))[1:]]

    assert borrowed() == []
    given: list[str] = []

    async def borrow(store: Datastore) -> None:
        for number in range(4):  # all blocks of the pool get an owner
            await IPAM(store).auto_assign(AssignRequest(node=f"n{number}", handle=f"own{number}"))
        asked = AssignRequest(node="n9", handle="net.b", attributes={"node": "n9"})
        (address,) = (await IPAM(store).auto_assign(asked)).ips
        given.append(str(address).removesuffix("/32"))

    on_store(borrow)
    ((address, node, block, owner, user),) = borrowed()
    assert (address, node, user) == (given[0], "n9", "-")
    assert owner in {f"n{number}" for number in range(4)}
    shown = lines(cluster("ipam", "show", "--ip", address))
    assert f"Block: {block} (of another node)" in shown
    (told,) = json.loads(cluster("ipam", "show", "--show-borrowed", "-o", "json").out)
    assert (told["ip"], told["borrowed"]) == (address, True)


def test_large_pools_are_told_in_few_digits(cluster: Tortie, write: Write) -> None:
    cluster("apply", "-f", write("v6.yaml", LARGE))
    large = lines(cluster("ipam", "show"))[2].split()
    assert large == ["IP", "Pool", "fd00::/48", "1.2089e+24", "0", "0", "0", "1.2089e+24"]


def test_show_tells_who_holds_an_address(cluster: Tortie) -> None:
    text = cluster("ipam", "show", "--ip", os.environ["WEB"]).out
    assert "is in use" in text
    assert "Used by: Pod shop/web" in text
    assert "  namespace: shop" in text
    gone = cluster("ipam", "show", "--ip", os.environ["GONE"]).out
    assert "held by Pod shop/gone on n1 since" in gone
    free = cluster("ipam", "show", "--ip", "192.0.2.1").out
    assert free == "IP 192.0.2.1 is not currently assigned\n"
    wrong = cluster("ipam", "show", "--ip", "10.0.0.300")
    assert (wrong.status, "10.0.0.300" in wrong.err) == (1, True)


def test_an_allocation_for_machines_has_calicos_names(cluster: Tortie) -> None:
    web, gone = os.environ["WEB"], os.environ["GONE"]
    report = json.loads(cluster("ipam", "check", "-o", "json").out)
    (used,), (leaked,) = report["allocations"][web], report["allocations"][gone]
    assert json.loads(cluster("ipam", "show", "--ip", web, "-o", "json").out) == [used]
    since, number = used.pop("creationTimestamp"), used.pop("sequenceNumber")
    assert since.endswith("Z")
    assert isinstance(number, int)
    assert number < leaked["sequenceNumber"]
    assert used == {
        "ip": web,
        "handle": "net.web",
        "pod": "web",
        "namespace": "shop",
        "node": "n1",
        "type": "",
        "inUse": True,
        "borrowed": False,
        "owners": ["Pod shop/web"],
    }
    assert (leaked["inUse"], leaked["owners"]) == (False, [])
    assert leaked["leak"].startswith("held by Pod shop/gone on n1 since")
    assert report["datastoreLocked"] is False
    assert (report["leakedHandles"], report["cooling"]) == ([], 0)
    assert [one["subject"] for one in report["findings"]] == [gone]
    assert json.loads(cluster("ipam", "show", "--ip", "192.0.2.1", "-o", "json").out) == []


def lock(cluster: Tortie) -> None:
    assert cluster("datastore", "migrate", "lock").status == 0


def test_check_finds_the_leak_and_release_mends_it(cluster: Tortie) -> None:
    lock(cluster)
    said = cluster("ipam", "check", "--show-problem-ips", "-o", "report.json")
    gone = os.environ["GONE"]
    assert said.status == 1
    assert f"  {gone}: held by Pod shop/gone on n1 since" in said.out
    assert f"    do: tortie ipam release --ip {gone}" in said.out
    assert stat.S_IMODE(os.stat("report.json").st_mode) == 0o600
    assert "released 1 address" in cluster("ipam", "release", "--from-report", "report.json").out
    clean = cluster("ipam", "check")
    assert (clean.status, "everything adds up" in clean.out) == (0, True)
    again = cluster("ipam", "release", "--from-report", "report.json").out
    assert "released 0 addresses and 0 handles\nleft 1 address" in again


def test_check_lists_every_address_that_is_held(cluster: Tortie) -> None:
    async def assign(store: Datastore) -> None:
        about = {"namespace": "shop", "pod": "also", "node": "n1"}
        await IPAM(store).auto_assign(AssignRequest(node="n1", handle="net.a", attributes=about))

    on_store(assign)
    some, each = lines(cluster("ipam", "check")), lines(cluster("ipam", "check", "--show-all-ips"))
    assert some[1] == each[1] == "3 addresses held: 1 in use, 2 leaked; 0 cooling down"
    assert each[2] == f"  {os.environ['WEB']}  Pod shop/web"
    assert each[3].startswith(f"  {os.environ['GONE']}  held by Pod shop/gone on n1 since")
    assert "held by Pod shop/also on n1 since" in each[4]
    assert f"    do: tortie ipam release --ip {os.environ['GONE']}" in each
    assert some[2:] == ["2 held, and nobody uses them", "see each with --show-problem-ips"]


def test_a_report_that_can_not_be_written_leaves_the_one_before(
    cluster: Tortie, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster("ipam", "check", "-o", "report.json")
    before = Path("report.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        said = cluster("ipam", "check", "-o", "report.json")
    assert (said.status, said.err) == (
        1,
        "tortie: not everything could be written: no space left on device\n",
    )
    assert Path("report.json").read_bytes() == before
    assert not Path("report.json.part").exists()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_others_may_read_beside_a_report_is_not_written_to(cluster: Tortie) -> None:
    part = Path("report.json.part")
    part.write_text("")
    part.chmod(0o666)
    cluster("ipam", "check", "-o", "report.json")
    assert stat.S_IMODE(os.stat("report.json").st_mode) == 0o600


@pytest.mark.parametrize("words", [("ipam", "check"), ("ipam", "show"), ("version",)])
def test_an_output_that_is_full_is_told_in_one_line(
    cluster: Tortie, words: tuple[str, ...]
) -> None:
    del cluster
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "tortie.cli", *words],
            stdout=output,
            stderr=subprocess.PIPE,
            env=buffered,
        )
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line == "tortie: not everything could be written: no space left on device"


def test_a_report_that_came_too_late_releases_nothing_of_a_new_holder(cluster: Tortie) -> None:
    lock(cluster)
    cluster("ipam", "check", "-o", "report.json")

    async def another(store: Datastore) -> None:
        ipam = IPAM(store, gate=lambda _: None)
        await ipam.release_by_handle("net.gone")
        asked = AssignRequest(node="n1", handle="net.gone", count4=254)
        await ipam.auto_assign(asked)

    on_store(another)
    assert "released 0 addresses" in cluster("ipam", "release", "--from-report", "report.json").out


def test_of_several_reports_only_what_all_say_is_leaked_is_released(
    cluster: Tortie, write: Write
) -> None:
    lock(cluster)
    report = json.loads(cluster("ipam", "check", "-o", "json").out)
    whole = write("whole.json", json.dumps(report))
    none = write("none.json", json.dumps({**report, "allocations": {}}))
    both = ("--from-report", whole, "--from-report")
    assert "released 0 addresses" in cluster("ipam", "release", *both, none).out
    assert "released 1 address" in cluster("ipam", "release", *both, whole).out


def test_releasing_works_while_the_datastore_is_locked(cluster: Tortie) -> None:
    lock(cluster)
    assert cluster("ipam", "release", "--ip", os.environ["GONE"]).status == 0
    assert cluster("ipam", "check").status == 0


async def forget_handle(store: Datastore) -> None:
    await store.delete(Key("IPAMHandle", "", "net.gone"))


async def forget_its_name(store: Datastore) -> None:
    """As a block of somebody else's may be: nobody's handle beside the address."""
    (block,) = cast(tuple[IPAMBlock, ...], (await store.list("IPAMBlock")).resources)
    attributes = tuple(
        replace(one, handle_id=None) if one.handle_id == "net.gone" else one
        for one in block.spec.attributes
    )
    numbers: dict[str, int] = {}
    spec = replace(block.spec, attributes=attributes, sequence_number_for_allocation=numbers)
    await store.update(replace(block, spec=spec))
    await forget_handle(store)


async def shared_handle(store: Datastore) -> None:
    """Another node's container of the same id has an address under it."""
    about = {"namespace": "shop", "pod": "far", "node": "n2"}
    await IPAM(store).auto_assign(AssignRequest(node="n2", handle="net.gone", attributes=about))


@pytest.mark.parametrize("way", ["--ip", "--from-report"])
@pytest.mark.parametrize("missing", [forget_handle, forget_its_name, shared_handle])
def test_what_leaked_can_be_released_whatever_is_left_of_its_handle(
    cluster: Tortie, missing: Callable[[Datastore], Awaitable[None]], way: str
) -> None:
    on_store(missing)
    gone = os.environ["GONE"]
    lock(cluster)
    cluster("ipam", "check", "-o", "report.json")
    word = gone if way == "--ip" else "report.json"
    assert "released " in cluster("ipam", "release", way, word).out
    assert "is not currently assigned" in cluster("ipam", "release", "--ip", gone).out

    async def consistent(store: Datastore) -> None:
        blocks = cast(tuple[IPAMBlock, ...], (await store.list("IPAMBlock")).resources)
        for block in blocks:
            assert is_sound(block.spec)
            assert "net.gone" not in [one.handle_id for one in block.spec.attributes] or (
                missing is shared_handle and "n2" in str(block.spec.affinity)
            )

    on_store(consistent)


def test_an_address_in_use_is_only_released_by_force(cluster: Tortie) -> None:
    web = os.environ["WEB"]
    said = cluster("ipam", "release", "--ip", web)
    assert (said.status, "in use by Pod shop/web" in said.err) == (1, True)
    assert cluster("ipam", "release", "--ip", web, "--force").status == 0
    assert f"IP {web} is not currently assigned, though" in cluster("ipam", "show", "--ip", web).out


class Late(IPAM):
    """An IPAM to which somebody else comes first, once all was looked at."""

    async def release(self, addresses: Iterable[Prefix | ReleaseRequest]) -> tuple[Prefix, ...]:
        address = Prefix.single(*parse_address(os.environ["GONE"]))
        await self.release_by_handle("net.gone")
        await self.assign_fixed(FixedRequest(address=address, node="n1", handle="net.new"))
        await self.auto_assign(AssignRequest(node="n1", handle="net.empty"))
        return await super().release(addresses)


def has(cluster: Tortie, handle: str) -> bool:
    report = json.loads(cluster("ipam", "check", "-o", "json").out)
    held = [one["handle"] for each in report["allocations"].values() for one in each]
    return handle in held


def test_what_went_to_somebody_else_meanwhile_stays_theirs(
    cluster: Tortie, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ipam_release, "_ipam", lambda store: Late(store, gate=lambda _: None))
    said = cluster("ipam", "release", "--ip", os.environ["GONE"])
    assert (said.status, "went to somebody else just now" in said.err) == (1, True)
    assert has(cluster, "net.new")


async def empty_handle(store: Datastore) -> None:
    """As a crash leaves it."""
    spec = IPAMHandleSpec(handle_id="net.empty", block={})
    await store.create(IPAMHandle(metadata=ObjectMeta(name="net.empty"), spec=spec))


def test_a_handle_that_holds_nothing_goes_by_a_report(cluster: Tortie) -> None:
    on_store(empty_handle)
    lock(cluster)
    found = cluster("ipam", "check", "--show-problem-ips", "-o", "report.json").out
    assert "1 handles that hold nothing\n  net.empty: " in found
    said = cluster("ipam", "release", "--from-report", "report.json").out
    assert said == "released 1 address and 1 handle\n"
    assert cluster("ipam", "check").status == 0


def test_a_handle_that_came_to_hold_something_since_a_report_stays(
    cluster: Tortie, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_store(empty_handle)
    lock(cluster)
    cluster("ipam", "check", "-o", "report.json")
    with monkeypatch.context() as patch:
        patch.setattr(ipam_release, "_ipam", lambda store: Late(store, gate=lambda _: None))
        said = cluster("ipam", "release", "--from-report", "report.json").out
    assert said.startswith("released 0 addresses and 0 handles\n")
    assert has(cluster, "net.empty")
    again = cluster("ipam", "release", "--from-report", "report.json").out
    assert again.startswith("released 0 addresses and 0 handles\n")
    assert has(cluster, "net.empty")


def test_of_several_reports_the_last_is_the_one_of_this_lock(cluster: Tortie) -> None:
    cluster("ipam", "check", "-o", "before.json")
    lock(cluster)
    cluster("ipam", "check", "-o", "since.json")
    words = ("ipam", "release", "--from-report", "since.json", "--from-report", "before.json")
    assert "before.json was made before the datastore was locked" in cluster(*words).err
    words = ("ipam", "release", "--from-report", "before.json", "--from-report", "since.json")
    assert "released 1 address" in cluster(*words).out


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"allocations": {"x": [{"ip": "y"}]}}'])
def test_a_file_that_is_no_report_is_refused_in_one_line(
    cluster: Tortie, write: Write, text: str
) -> None:
    said = cluster("ipam", "release", "--from-report", write("report.json", text))
    assert said.status == 1
    assert "report.json: no report of" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_report_of_another_cluster_is_refused(cluster: Tortie, write: Write) -> None:
    report = json.loads(cluster("ipam", "check", "-o", "json").out)
    name = write("report.json", json.dumps({**report, "clusterGUID": "another"}))
    for force in ((), ("--force",)):
        said = cluster("ipam", "release", "--from-report", name, *force)
        assert "of another cluster (another" in said.err


def test_a_report_is_only_taken_while_nothing_can_have_started_since(cluster: Tortie) -> None:
    release = ("ipam", "release", "--from-report", "report.json")
    cluster("ipam", "check", "-o", "report.json")
    assert "the datastore is not locked" in cluster(*release).err
    lock(cluster)
    assert "made before the datastore was locked" in cluster(*release).err
    cluster("ipam", "check", "-o", "report.json")
    cluster("datastore", "migrate", "unlock")
    lock(cluster)
    assert "made before the datastore was locked" in cluster(*release).err
    assert "released 1 address" in cluster(*release, "--force").out


@pytest.mark.parametrize("text", ["True", "1", "TRUE", "false"])
def test_strict_affinity_is_said_in_any_spelling_of_calicos(cluster: Tortie, text: str) -> None:
    assert cluster("ipam", "configure", f"--strictaffinity={text}").status == 0


def test_help_leaves_examples_in_lines_of_their_own(cluster: Tortie) -> None:
    lines = cluster("ipam", "show", "--help").out.splitlines()
    assert sum(line.startswith("tortie ipam show") for line in lines) > 1


def test_a_pool_is_split_while_the_datastore_is_locked(cluster: Tortie, write: Write) -> None:
    another = "{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: a},"
    cluster("apply", "-f", write("a.yaml", f"{another} spec: {{cidr: 10.9.0.0/24}}}}"))
    said = cluster("ipam", "split", "2", "--name", "pool")
    assert (said.status, "migrate lock" in said.err) == (1, True)
    cluster("datastore", "migrate", "lock")
    assert (
        "there are: a (10.9.0.0/24), pool (10.0.0.0/24)"
        in cluster("ipam", "split", "2", "--name", "x").err
    )
    assert cluster("ipam", "split", "2", "--cidr", "10.0.0.0/24").status == 0
    assert cluster("get", "ippools", "-o", "name").out.split() == [
        "ippools/a",
        "ippools/split-pool-0",
        "ippools/split-pool-1",
    ]


def test_configure_changes_only_what_is_named(cluster: Tortie) -> None:
    assert cluster("ipam", "configure", "--ip-cooldown-seconds", "30").status == 0
    assert cluster("ipam", "configure", "--strictaffinity=true").status == 0
    shown = json.loads(cluster("ipam", "show", "--show-configuration", "-o", "json").out)
    assert (shown["StrictAffinity"], shown["IPCooldownSeconds"]) == (True, 30)
    assert (shown["MaxBlocksPerHost"], shown["KubeVirtVMAddressPersistence"]) == (0, "Disabled")
    words = ("--max-blocks-per-host", "4", "--kubevirt-ip-persistence", "Enabled")
    assert cluster("ipam", "configure", *words).status == 0
    words = ("--ip-cooldown-seconds", "0", "--max-blocks-per-host", "0")
    assert cluster("ipam", "configure", *words).status == 0
    assert json.loads(cluster("ipam", "show", "--show-configuration", "-o", "json").out) == {
        "StrictAffinity": True,
        "AutoAllocateBlocks": True,
        "MaxBlocksPerHost": 0,
        "KubeVirtVMAddressPersistence": "Enabled",
        "IPCooldownSeconds": 0,
    }


def test_configuration_is_calicos_where_nobody_has_said_anything(cluster: Tortie) -> None:
    _, *rows = lines(cluster("ipam", "show", "--show-configuration"))
    assert [row.split() for row in rows] == [
        ["StrictAffinity", "False"],
        ["AutoAllocateBlocks", "True"],
        ["MaxBlocksPerHost", "0"],
        ["KubeVirtVMAddressPersistence", "Disabled"],
        ["IPCooldownSeconds", "0"],
    ]


def test_the_longest_cooling_is_calicos(cluster: Tortie) -> None:
    assert cluster("ipam", "configure", "--ip-cooldown-seconds", "1200").status == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "say what to change"),
        (("--max-blocks-per-host", "4"), "needs --strictaffinity=true"),
        (("--ip-cooldown-seconds", "1201"), "from 0 to 1200"),
        (("--max-blocks-per-host", "1000001", "--strictaffinity=true"), "from 0 to 1000000"),
        (("--max-blocks-per-host", "-1", "--strictaffinity=true"), "from 0 to 1000000"),
        (("--ip-cooldown-seconds", "-1"), "from 0 to 1200"),
        (("--strictaffinity", "maybe"), "use true or false"),
    ],
)
def test_configure_refuses_what_makes_no_sense(
    cluster: Tortie, words: tuple[str, ...], reason: str
) -> None:
    said = cluster("ipam", "configure", *words)
    assert said.status != 0
    assert reason in said.err
    assert "Traceback" not in said.err


def test_a_pool_in_use_waits_and_says_for_whom(cluster: Tortie) -> None:
    async def controllers(store: Datastore) -> None:
        await Pools(store).reconcile(Key("IPPool", "", "pool"))

    on_store(controllers)
    said = cluster("delete", "ippool", "pool").out
    assert said.startswith("IPPool pool: going: it waits: 2 of its addresses are in use: ")
    assert "(Pod shop/web on n1)" in said
    assert json.loads(cluster("delete", "ippool", "pool", "-o", "json").out)[0]["result"] == "going"


def test_check_knows_of_services_whose_api_is_not_the_datastore(
    cluster: Tortie, write: Write, kube: KubeServer
) -> None:
    """One that has its load balancer's address, and one that is gone."""
    cluster("ipam", "release", "--ip", os.environ["GONE"])
    given: dict[str, str] = {}

    async def assign(store: Datastore) -> None:
        for name in ("web", "gone"):
            about = {"namespace": "default", "service": name, "type": "Service"}
            asked = AssignRequest(node="n1", handle=f"lb-{name}", attributes=about)
            (address,) = (await IPAM(store).auto_assign(asked)).ips
            given[name] = str(address).partition("/")[0]

    on_store(assign)
    api, path = kube.api, "/api/v1/namespaces/default/services"
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    api.answer("POST", path, body)
    stored = api.answer("GET", f"{path}/web")[1]
    status = {"loadBalancer": {"ingress": [{"ip": given["web"]}]}}
    assert api.answer("PUT", f"{path}/web/status", {**stored, "status": status})[0] == 200
    assert "everything adds up" in cluster("ipam", "check").out  # nobody can know of either
    beside = write("kubeconfig", kube.kubeconfig())
    said = cluster("ipam", "check", "--show-problem-ips", "--kubernetes", beside)
    assert said.status == 1
    assert f"  {given['gone']}: held by Service default/gone" in said.out
    assert given["web"] not in said.out
    both = cluster("ipam", "check", "--kubernetes", beside, "--datastore", f"kubernetes:{beside}")
    assert (both.status, "leave it out" in both.err) == (1, True)


def test_a_node_that_is_deleted_gives_back_what_nobody_uses(cluster: Tortie) -> None:
    said = cluster("delete", "node", "n1")
    assert (said.status, said.out) == (0, "Node n1: deleted\n")

    async def look(store: Datastore) -> None:
        ipam = IPAM(store)
        assert await ipam.addresses_of("net.gone") == ()
        assert len(await ipam.addresses_of("net.web")) == 1  # its pod says that it still runs

    on_store(look)
    assert cluster("delete", "node", "n1").status == 1
