"""Three members with real packets between them: one is killed, one is cut off, under load."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.etcd_cluster import Cluster, etcd_cluster, inside

CLIENT = Path(__file__).with_name("client.py")
SECONDS = 40.0  # for anything to happen


class Client:
    """A running client; what it prints is in its file."""

    def __init__(self, cluster: Cluster, folder: Path, role: str, argument: str) -> None:
        self._output = folder / f"{role}-{argument}"
        command = [sys.executable, str(CLIENT), role, ",".join(cluster.endpoints), argument]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *inside(cluster.clients), *command],
                stdin=subprocess.PIPE,
                stdout=output,
            )

    def lines(self, word: str) -> list[list[str]]:
        """The whole lines that begin with a word, in words."""
        whole = self._output.read_text().rpartition("\n")[0].splitlines()
        return [line.split() for line in whole if line.startswith(f"{word} ") or line == word]

    def wait_lines(self, word: str, count: int) -> None:
        """Until there are so many of them."""
        deadline = time.monotonic() + SECONDS
        while len(self.lines(word)) < count:
            assert self.process.poll() is None, self._output.read_text()[-2_000:]
            assert time.monotonic() < deadline, self._output.read_text()[-2_000:]
            time.sleep(0.02)

    def finish(self) -> None:
        """Let it end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(SECONDS) == 0


@pytest.fixture
def cluster(needs_etcd: None) -> Iterator[Cluster]:  # noqa: ARG001 - asked for to skip
    with etcd_cluster() as found:
        yield found


@contextmanager
def client(cluster: Cluster, folder: Path, role: str, argument: str) -> Iterator[Client]:
    found = Client(cluster, folder, role, argument)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


def once(cluster: Cluster, folder: Path, role: str, argument: str) -> Client:
    """A client that has done its work."""
    with client(cluster, folder, role, argument) as found:
        found.finish()
    return found


@pytest.mark.root
def test_no_update_is_lost_or_doubled_when_the_leader_dies_and_a_member_is_cut_off(
    cluster: Cluster, tmp_path: Path
) -> None:
    ((_, since, _),) = once(cluster, tmp_path, "create", "counter").lines("created")
    with (
        client(cluster, tmp_path, "watch", since) as watcher,
        client(cluster, tmp_path, "write", "a") as one,
        client(cluster, tmp_path, "write", "b") as two,
    ):
        watcher.wait_lines("watching", 1)
        _trouble(cluster, (one, two))
        one.finish()
        two.finish()
        once(cluster, tmp_path, "create", "end")
        watcher.finish()
        _check(watcher, (one, two), once(cluster, tmp_path, "read", "-"))


def _trouble(cluster: Cluster, writers: tuple[Client, ...]) -> None:
    _go_on(writers)
    dead = cluster.leader(cluster.members)
    dead.kill()
    _go_on(writers)
    dead.start()
    dead.ready()
    cut = cluster.leader([member for member in cluster.members if member is not dead])
    cluster.cut_off(cut)
    _go_on(writers)
    cluster.heal(cut)
    cut.ready()
    _go_on(writers)


def _go_on(writers: tuple[Client, ...]) -> None:
    """Until each writer has had a good number of further writes acknowledged."""
    for writer in writers:
        writer.wait_lines("counted", len(writer.lines("counted")) + 60)


def _check(watcher: Client, writers: tuple[Client, ...], reader: Client) -> None:
    acknowledged = {name: rev for each in writers for _, rev, name in each.lines("created")}
    doubtful = {line[1] for each in writers for line in each.lines("unknown")}
    objects = {name: (rev, value) for _, rev, name, value in reader.lines("object")}
    for name, revision in acknowledged.items():
        assert objects[name][0] == revision  # there, and written once
    made = set(objects) - {"counter", "end"}
    assert set(acknowledged) <= made <= set(acknowledged) | doubtful
    counted = sum(len(each.lines("counted")) for each in writers)
    uncounted = sum(len(each.lines("uncounted")) for each in writers)
    total = int(objects["counter"][1])
    assert counted <= total <= counted + uncounted
    puts = [(int(rev), name, value) for _, rev, name, value in watcher.lines("put")]
    revisions = [revision for revision, _, _ in puts]
    assert revisions == sorted(set(revisions))
    assert not watcher.lines("listed"), "nothing was compacted"
    assert [int(value) for _, name, value in puts if name == "counter"] == [*range(1, total + 1)]
    seen = Counter(name for _, name, _ in puts if name != "counter")
    assert seen == Counter({*made, "end"})
