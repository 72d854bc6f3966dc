"""`tortie lab` as a person uses it: whole processes, real labs."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tortie.lab.cluster import take_down
from tortie.lab.journal import LABS, Journal, exclusive
from tortie.lab.processes import is_alive
from tortie.linux.namespaces import names

pytestmark = pytest.mark.root
TORTIE = (sys.executable, "-m", "tortie.cli")
SMALL = """apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: lab, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: node-2, containers: [{name: db, image: lab, ports: [{containerPort: 5432}]}]}
"""
DENY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-in, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}}
"""


def tortie(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    ran = subprocess.run(
        [*TORTIE, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == expect, f"{words}\n{ran.stdout}\n{ran.stderr}"
    assert "Traceback" not in ran.stderr
    return ran


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The name of a lab that is taken down at the end, whatever is left of it."""
    name = f"t{os.getpid()}"
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "deny.yaml").write_text(DENY)
    yield name
    with exclusive(name, lambda: None):
        if Journal(name).path.exists():
            take_down(Journal(name))


@pytest.fixture
def small(lab: str, tmp_path: Path) -> str:
    """A lab of two nodes and two pods that is up."""
    tortie("lab", "up", "--name", lab, "--nodes", "2", "-f", str(tmp_path / "small.yaml"))
    return lab


def left_of(lab: str) -> list[str]:
    """Namespaces and directories of a lab."""
    return [
        *(name for name in names() if name.startswith(f"tortie.{lab}.")),
        *(path.name for path in LABS.glob(f"*{lab}*")),
    ]


def workloads(lab: str) -> dict[str, dict[str, str]]:
    """What `lab status` says of workloads, by name."""
    status = json.loads(tortie("lab", "status", "--name", lab, "-o", "json").stdout)
    return {record["workload"]: record for record in status["workloads"]}


def healthy(store: str) -> bool:
    """Whether nothing is wrong by the agents' own reports."""
    asked = [*TORTIE, "status", "--datastore", store]
    return subprocess.run(asked, capture_output=True, timeout=60).returncode == 0


def reached(lab: str) -> set[tuple[str, str]]:
    """Who reaches whom among the pods."""
    found = json.loads(tortie("lab", "probe", "--name", lab, "-o", "json").stdout)
    return {
        (probe["from"], probe["to"])
        for probe in found["probes"]
        if probe["reached"] and "/" in probe["from"] and "/" in probe["to"]
    }


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Return once it holds; fail after a minute."""
    for _ in range(6000):
        if condition():
            return
        select.select([], [], [], 0.01)
    pytest.fail(f"not within a minute: {what}")


def test_a_life_of_a_lab(small: str, tmp_path: Path) -> None:
    web, db = "shop/web", "shop/db"
    assert workloads(small)[db]["node"] == "node-2"
    assert reached(small) == {(web, db), (db, web)}

    said = tortie("lab", "apply", "--name", small, "-f", str(tmp_path / "deny.yaml")).stdout
    assert "NetworkPolicy shop/deny-in: created\n" in said
    assert "in force on 2 nodes" in said
    assert reached(small) == {(db, web)}

    truth = tmp_path / "truth.yaml"
    truth.write_text(tortie("lab", "probe", "--name", small, "-o", "truth").stdout)
    said = tortie("lab", "probe", "--name", small, "--expect", str(truth)).stdout
    assert said.endswith(" probes as expected\n")

    store = f"sqlite:{Journal(small).path / 'store.db'}"
    wait_for(lambda: healthy(store), "every agent's word that it is ready")

    tortie("lab", "delete", "--name", small, "-f", str(tmp_path / "deny.yaml"))
    assert reached(small) == {(web, db), (db, web)}
    said = tortie("lab", "probe", "--name", small, "--expect", str(truth), expect=1).stdout
    assert "wrong: shop/web -> shop/db tcp/5432: expected no answer, found shop/db answered" in said

    tortie("lab", "down", "--name", small)
    assert left_of(small) == []
    assert "is not up" in tortie("lab", "status", "--name", small, expect=1).stderr


def test_up_on_a_lab_that_is_up_adds_what_is_missing(small: str, tmp_path: Path) -> None:
    before, journal = workloads(small), Journal(small)
    agent, pod = (
        journal.process("agent-node-1"),
        journal.process(f"pod-{journal.workloads()['shop/web'].short_id}"),
    )
    assert agent is not None
    assert pod is not None
    os.kill(agent.pid, 9)
    os.kill(pod.pid, 9)
    wait_for(lambda: not is_alive(agent) and not is_alive(pod), "the end of the killed")
    assert "node-1" in tortie("lab", "status", "--name", small, expect=1).stdout
    deny = ["lab", "apply", "--name", small, "-f", str(tmp_path / "deny.yaml")]
    assert "the agent of node-1 does not answer" in tortie(*deny, expect=1).stderr
    tortie("lab", "delete", "--name", small, "-f", str(tmp_path / "deny.yaml"), expect=1)
    tortie("lab", "up", "--name", small, "-f", str(tmp_path / "small.yaml"))
    assert workloads(small) == before
    assert reached(small) == {("shop/web", "shop/db"), ("shop/db", "shop/web")}
    said = tortie("lab", "up", "--name", small, "--nodes", "1", expect=1).stderr
    assert "is up with 2 nodes, not 1" in said


def test_pods_are_started_moved_and_stopped_as_manifests_say(small: str, tmp_path: Path) -> None:
    web = workloads(small)["shop/web"]
    assert web["node"] == "node-1"
    pod = SMALL.split("---")[1]
    moved = pod.replace("spec: {", "spec: {nodeName: node-2, ")
    (tmp_path / "changed.yaml").write_text(moved + "---" + pod.replace("name: web,", "name: new,"))
    said = tortie("lab", "apply", "--name", small, "-f", str(tmp_path / "changed.yaml")).stdout
    assert "started shop/new, shop/web\n" in said
    assert "stopped shop/web\n" in said
    found = workloads(small)
    assert found["shop/web"]["node"] == "node-2"
    assert len(reached(small)) == 3 * 2
    tortie("lab", "delete", "--name", small, "-f", str(tmp_path / "changed.yaml"), "-n", "shop")
    assert set(workloads(small)) == {"shop/db"}


def test_a_command_runs_inside_a_workload_or_a_node(small: str) -> None:
    address = workloads(small)["shop/web"]["address"]
    show = ["--", "ip", "-o", "-4", "address", "show", "dev", "eth0"]
    assert f" {address}/32 " in tortie("lab", "exec", "--name", small, "shop/web", *show).stdout
    assert " 172.30.1.11/24 " in tortie("lab", "exec", "--name", small, "node-1", *show).stdout
    tortie("lab", "exec", "--name", small, "web", "--", "sh", "-c", "exit 7", expect=7)
    plain_su = ["env", "PATH=/usr/bin:/bin", *TORTIE, "lab", "exec", "--name", small, "node-1"]
    subprocess.run([*plain_su, "--", "nft", "list", "tables"], check=True)
    said = tortie("lab", "exec", "--name", small, "wbe", "--", "true", expect=1).stderr
    assert "there is no 'wbe'; it has " in said
    said = tortie("lab", "exec", "--name", small, "web", "--", "no-such-command", expect=1).stderr
    assert "there is no command 'no-such-command'" in said


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("containerPort", "containerPrt", "spec.containers[0].ports[0].containerPrt"),
        ("namespace: shop", "namespace: shpo", "there is no namespace 'shpo'"),
        ("node-2", "node-9", "spec.nodeName: the lab has no node 'node-9'; there are node-1, no"),
    ],
)
def test_a_mistake_in_the_file_makes_nothing(
    lab: str, tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    (tmp_path / "bad.yaml").write_text(SMALL.replace(right, wrong))
    words = ["lab", "up", "--name", lab, "-f", str(tmp_path / "bad.yaml")]
    assert message in tortie(*words, expect=1).stderr
    assert left_of(lab) == []


@pytest.mark.parametrize("nodes", ["0", "-1", "101"])
def test_an_impossible_number_of_nodes_makes_nothing(lab: str, nodes: str) -> None:
    said = tortie("lab", "up", "--name", lab, "--nodes", nodes, expect=1).stderr
    assert said == f"tortie: a lab has 1 to 100 nodes, not {nodes}\n"
    assert left_of(lab) == []


def test_only_a_labs_own_directory_can_be_removed(tmp_path: Path) -> None:
    said = tortie("lab", "down", "--name", str(tmp_path), expect=1).stderr
    assert "can't name a lab" in said
    assert tmp_path.exists()


@pytest.mark.parametrize("namespaces", [1, 4, 9])
def test_down_cleans_up_after_up_was_killed(lab: str, namespaces: int) -> None:
    journal = Journal(lab)
    up = subprocess.Popen([*TORTIE, "lab", "up", "--name", lab], stdout=subprocess.DEVNULL)
    wait_for(
        lambda: len(journal.namespaces()) >= namespaces or up.poll() is not None,
        f"{namespaces} namespaces",
    )
    up.kill()
    up.wait()
    processes = journal.processes()
    tortie("lab", "down", "--name", lab)
    assert left_of(lab) == []
    assert not any(map(is_alive, processes))


def test_settings_that_want_a_new_start_are_waited_for_too(small: str, tmp_path: Path) -> None:
    """Each agent stops while `apply` waits for it, and the next one says that it is done."""
    manifest = tmp_path / "felix.yaml"
    manifest.write_text(
        "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\n"
        "spec: {deviceRouteProtocol: 211}\n"
    )
    said = tortie("lab", "apply", "--name", small, "-f", str(manifest)).stdout
    assert "in force on 2 nodes" in said
    tortie("lab", "status", "--name", small)
    routes = tortie("lab", "exec", "--name", small, "node-1", "--", "ip", "-d", "route").stdout
    assert "proto 211" in routes


def test_up_completes_what_a_killed_up_began(lab: str, tmp_path: Path) -> None:
    words = ["lab", "up", "--name", lab, "--nodes", "2", "-f", str(tmp_path / "small.yaml")]
    journal = Journal(lab)
    up = subprocess.Popen([*TORTIE, *words], stdout=subprocess.DEVNULL)
    wait_for(lambda: journal.workloads() or up.poll() is not None, "the first workload")
    up.kill()
    up.wait()
    tortie(*words)
    assert reached(lab) == {("shop/web", "shop/db"), ("shop/db", "shop/web")}


def test_two_labs_live_side_by_side(small: str, tmp_path: Path) -> None:
    other = f"{small}-b"
    try:
        tortie("lab", "up", "--name", other, "--nodes", "2", "-f", str(tmp_path / "small.yaml"))
        tortie("lab", "apply", "--name", other, "-f", str(tmp_path / "deny.yaml"))
        assert len(reached(small)) == 2
        assert len(reached(other)) == 1
        said = tortie("lab", "status", "--name", f"{small}-c", expect=1).stderr
        assert small in said
        assert other in said
    finally:
        tortie("lab", "down", "--name", other)
    assert len(reached(small)) == 2


# Whatever whoever runs the tests ignores; in the background, as a script's shell starts it.
IN_FOREGROUND = ["env", "--default-signal=INT,HUP,TERM"]
IN_BACKGROUND = ["env", "--default-signal=HUP,TERM", "--ignore-signal=INT"]


@pytest.mark.parametrize(
    ("signal_number", "started_by"),
    [(2, IN_FOREGROUND), (15, IN_FOREGROUND), (15, IN_BACKGROUND), (1, IN_BACKGROUND)],
)
def test_the_demonstration_leaves_nothing_when_it_is_interrupted(
    signal_number: int, started_by: list[str]
) -> None:
    demo = subprocess.Popen(
        [*started_by, *TORTIE, "lab", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    name = f"demo-{demo.pid}"
    wait_for(lambda: Journal(name).workloads() or demo.poll() is not None, "the first workload")
    demo.send_signal(signal_number)
    _, err = demo.communicate(timeout=120)
    assert demo.returncode == 130
    assert "Traceback" not in err
    assert left_of(name) == []


def test_the_demonstration_goes_as_expected_and_leaves_nothing() -> None:
    demo = subprocess.Popen(
        [*TORTIE, "lab", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, err = demo.communicate(timeout=200)
    assert (demo.returncode, err) == (0, "")
    count = out.splitlines()[-1].removeprefix("demo: ").partition("/")[0]
    assert int(count) > 700
    assert out.endswith(f"demo: {count}/{count} probes as expected\n")
    assert max(map(len, out.splitlines())) <= 80
    assert left_of(f"demo-{demo.pid}") == []
