"""What a lab has made is on disk before it is made."""

import os
import threading
from pathlib import Path

import pytest

from tortie.lab.errors import LabError
from tortie.lab.journal import Journal, Process, Workload, exclusive
from tortie.lab.plan import Encap, shape_of

WORKLOAD = Workload("shop", "web", "node-1", "0123456789abcdef", "tortie.x.pod-0123456789ab")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    found = Journal("x", tmp_path)
    found.create(3)
    return found


def test_what_is_written_down_is_read_by_the_next_command(journal: Journal, tmp_path: Path) -> None:
    journal.record_namespace("tortie.x.router")
    journal.record_process(Process("agent-node-1", 123, 456))
    journal.record_workload(WORKLOAD)
    later = Journal("x", tmp_path)
    assert later.nodes() == 3
    assert later.namespaces() == ["tortie.x.router"]
    assert later.processes() == [Process("agent-node-1", 123, 456)]
    assert later.workloads() == {"shop/web": WORKLOAD}


def test_what_is_forgotten_is_gone(journal: Journal) -> None:
    journal.record_namespace("n")
    journal.record_process(Process("p", 1, 2))
    journal.record_workload(WORKLOAD)
    journal.forget_namespace("n")
    journal.forget_process("p")
    journal.forget_workload(WORKLOAD)
    assert (journal.namespaces(), journal.processes(), journal.workloads()) == ([], [], {})


def test_writing_down_twice_is_once(journal: Journal) -> None:
    journal.create(3)
    for _ in range(2):
        journal.record_namespace("n")
    assert journal.namespaces() == ["n"]


def test_a_lab_that_is_up_grows_and_its_nodes_stay_where_they_are(journal: Journal) -> None:
    assert journal.create(5).placement == "aabba"
    assert journal.shape().placement == "aabba"


def test_a_lab_that_is_up_loses_no_nodes_and_keeps_its_ways(journal: Journal) -> None:
    with pytest.raises(LabError, match="is up with 3 nodes, not 2: take it down first"):
        journal.create(2)
    with pytest.raises(LabError, match="is up with --encap vxlan --mode CrossSubnet --ip 4"):
        journal.create(shape_of(3, Encap.IPIP))


def test_a_lab_that_is_not_up_is_named_with_those_that_are(journal: Journal) -> None:
    with pytest.raises(LabError, match="lab 'y' is not up: there is x"):
        Journal("y", journal.path.parent).nodes()


def test_an_empty_place_tells_how_to_make_a_lab(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="`tortie lab up` makes one"):
        Journal("y", tmp_path).nodes()


def test_only_root_can_read_it(journal: Journal) -> None:
    assert all(path.stat().st_mode & 0o077 == 0 for path in journal.path.iterdir() if path.is_dir())


def test_one_command_at_a_time_changes_a_lab(tmp_path: Path) -> None:
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with exclusive("x", waits.set, tmp_path):
            order.append("second")

    thread = threading.Thread(target=second)
    with exclusive("x", lambda: order.append("first had to wait"), tmp_path):
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_lock_leaves_no_file_behind_where_there_is_no_lab(tmp_path: Path) -> None:
    with exclusive("x", lambda: None, tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_labs_of_different_names_do_not_wait_for_each_other(tmp_path: Path) -> None:
    def waiting() -> None:
        raise AssertionError("it had to wait")

    with exclusive("x", waiting, tmp_path), exclusive("y", waiting, tmp_path):
        pass


@pytest.mark.parametrize("name", ["../x", ".", "..", "", "a/b"])
def test_a_name_that_is_no_labs_locks_nothing(name: str, tmp_path: Path) -> None:
    labs = tmp_path / "labs"
    with pytest.raises(LabError, match="can't name a lab"), exclusive(name, lambda: None, labs):
        pass
    assert list(tmp_path.iterdir()) == []
