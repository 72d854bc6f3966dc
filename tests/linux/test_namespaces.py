"""Namespaces are entered and left again, and named ones are iproute2's."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.linux import namespaces
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes

pytestmark = pytest.mark.root


@pytest.fixture
def name() -> Iterator[str]:
    name = f"tortie-ns-{os.getpid()}"
    yield name
    namespaces.delete_named(name)


def here() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_the_body_runs_inside_and_the_rest_outside(name: str) -> None:
    path = namespaces.create_named(name)
    outside = here()
    with namespaces.in_namespace(path):
        assert here() == path.stat().st_ino != outside
    assert here() == outside


def test_an_error_inside_leads_outside_again(name: str) -> None:
    path = namespaces.create_named(name)
    outside = here()
    with pytest.raises(RuntimeError), namespaces.in_namespace(path):
        raise RuntimeError
    assert here() == outside


def test_a_new_namespace_is_empty_and_left_again() -> None:
    outside = here()
    with namespaces.in_new_namespace(), NetlinkSocket() as sock:
        assert here() != outside
        assert Routes(sock).list(4) == []
    assert here() == outside


def test_a_descriptor_serves_as_well_as_a_path(name: str) -> None:
    path = namespaces.create_named(name)
    with open(path) as held, namespaces.in_namespace(held.fileno()):
        assert here() == path.stat().st_ino


def test_what_is_a_network_namespace_is_told_from_a_file_and_from_another_namespace(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "left").write_text("")
    for path, answer in (
        (namespaces.create_named(name), True),
        (tmp_path / "left", False),
        (Path("/proc/self/ns/mnt"), False),
    ):
        with open(path) as held:
            assert namespaces.is_network(held.fileno()) is answer


def test_other_threads_stay_where_they_are(name: str) -> None:
    path = namespaces.create_named(name)
    outside, seen = here(), list[int]()
    with namespaces.in_namespace(path):
        thread = threading.Thread(target=lambda: seen.append(here()))
        # A new thread begins where its maker is; one that is running is not moved.
        thread.start()
        thread.join()
    assert seen == [path.stat().st_ino]
    waiting, go = threading.Event(), threading.Event()

    def watch() -> None:
        waiting.set()
        assert go.wait(10)
        seen.append(here())

    thread = threading.Thread(target=watch)
    thread.start()
    assert waiting.wait(10)
    with namespaces.in_namespace(path):
        go.set()
        thread.join()
    assert seen[1] == outside


def test_what_is_no_namespace_is_not_entered(tmp_path: Path) -> None:
    outside = here()
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match="network namespace"),
        namespaces.in_namespace(tmp_path / "file"),
    ):
        pass
    with pytest.raises(FileNotFoundError), namespaces.in_namespace(tmp_path / "none"):
        pass
    assert here() == outside


def test_ip_netns_sees_and_enters_ours(name: str) -> None:
    namespaces.create_named(name)
    assert name in namespaces.names()
    listed = subprocess.run(["ip", "netns"], check=True, capture_output=True, text=True).stdout
    assert name in listed.split()
    shown = subprocess.run(
        ["ip", "-n", name, "-br", "link"], check=True, capture_output=True, text=True
    ).stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["lo"]


def test_a_name_is_taken_once(name: str) -> None:
    namespaces.create_named(name)
    with pytest.raises(FileExistsError):
        namespaces.create_named(name)
    assert name in namespaces.names()


def test_deleting_twice_is_harmless_and_takes_it_off_the_list(name: str) -> None:
    namespaces.create_named(name)
    namespaces.delete_named(name)
    namespaces.delete_named(name)
    assert name not in namespaces.names()


def test_what_a_killed_maker_left_can_be_deleted(name: str) -> None:
    namespaces.create_named(name)
    namespaces.delete_named(name)
    namespaces.path_of(name).touch()  # made, and never mounted on
    namespaces.delete_named(name)
    assert name not in namespaces.names()


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "../x", "a\0b", "x" * 256])
def test_a_name_that_is_no_files_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot name a namespace"):
        namespaces.create_named(bad)
