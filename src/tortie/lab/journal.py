"""What a lab has made, on disk, written before it is made.

One directory for each lab: `tortie lab down` removes what it lists and nothing else, also after a
`kill -9` in the middle of `tortie lab up`. Each thing is a file of its own, so that writing one
down is atomic and needs no lock.

    plan.json               how many nodes, on which subnets; how packets travel between them
    namespaces/NAME         a network namespace
    processes/ROLE          "PID START": START is when it began, so that no other process that the
                            kernel later gave the same PID is taken for it
    workloads/ID.json       a pod: its names, its node, its namespace
    nodes/NAME/             a node's sockets
    datastore.cfg           which datastore, where it is not store.db (see `tortie.lab.served`)
    logs/, cni/, store.db
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from tortie.lab.errors import LabError
from tortie.lab.plan import Shape, check_name, shape_of

LABS = Path("/run/tortie/labs")
T = TypeVar("T")


class Process(Struct, frozen=True):
    """A process of the lab. `start` is field 22 of /proc/PID/stat: clock ticks since boot."""

    role: str
    pid: int
    start: int


class Workload(Struct, frozen=True):
    """A pod's container. `id` is as a runtime gives it; its short form names files.

    `addresses` are there once the CNI plugin has connected it.
    """

    namespace: str
    pod: str
    node: str
    id: str
    netns: str
    addresses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """namespace/pod."""
        return f"{self.namespace}/{self.pod}"

    @property
    def short_id(self) -> str:
        """Enough of the id to be unique in a lab."""
        return self.id[:12]


class Journal:
    """The directory of one lab."""

    def __init__(self, name: str, labs: Path = LABS) -> None:
        self.name = name
        self.path = labs / name
        self.store_path = self.path / "store.db"
        self.datastore_file = self.path / "datastore.cfg"
        self.plugins = self.path / "cni"

    @property
    def exists(self) -> bool:
        """Whether there is such a lab, complete or not."""
        return (self.path / "plan.json").exists()

    def create(self, shape: Shape | int) -> Shape:
        """Make the directory; its shape. A lab that is there may grow.

        Raises LabError where it is there with more nodes, or another shape.
        """
        shape = shape_of(shape) if isinstance(shape, int) else shape
        if self.exists:
            return self._grow(shape)
        for part in ("namespaces", "processes", "workloads", "nodes", "logs", "cni"):
            (self.path / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write("plan.json", msgspec.json.encode(shape))
        return shape

    def _grow(self, wanted: Shape) -> Shape:
        found = self.shape()
        ways = (found.encap, found.mode, found.families)
        if (wanted.encap, wanted.mode, wanted.families) != ways:
            raise LabError(
                f"lab {self.name!r} is up with --encap {found.encap} --mode {found.mode} --ip"
                f" {found.families}: take it down first, or choose another --name"
            )
        if wanted.nodes < found.nodes:
            raise LabError(
                f"lab {self.name!r} is up with {found.nodes} nodes, not {wanted.nodes}:"
                f" take it down first, or choose another --name"
            )
        grown = found.grown(wanted.nodes)
        if grown != found:
            self._write("plan.json", msgspec.json.encode(grown))
        return grown

    def shape(self) -> Shape:
        """What the lab was made with. Raises LabError where there is no such lab."""
        return self._read("plan.json", Shape)

    def nodes(self) -> int:
        """How many nodes the lab has. Raises LabError where there is no such lab."""
        return self.shape().nodes

    def node_dir(self, node: str) -> Path:
        """Where a node's sockets are."""
        path = self.path / "nodes" / node
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def agent_socket(self, node: str) -> Path:
        """The control socket of a node's agent."""
        return self.path / "nodes" / node / "agent.sock"

    def control_socket(self, identity: str) -> Path:
        """The control socket of a workload, by its short id, or of an outside host."""
        return self.path / "workloads" / f"{identity}.sock"

    def log(self, role: str) -> Path:
        """The file that a process writes to."""
        return self.path / "logs" / f"{role}.log"

    # Each `record_…` comes before what it records; each `forget_…` after that is gone.

    def record_namespace(self, name: str) -> None:
        """A namespace of that name is about to be made."""
        self._write(f"namespaces/{name}", b"")

    def forget_namespace(self, name: str) -> None:
        """It is gone."""
        self._remove(f"namespaces/{name}")

    def namespaces(self) -> list[str]:
        """All namespaces, sorted."""
        return self._names("namespaces")

    def record_process(self, process: Process) -> None:
        """A process is about to do its work (see `tortie.lab.processes`)."""
        self._write(f"processes/{process.role}", f"{process.pid} {process.start}".encode())

    def left_processes(self) -> list[Process]:
        """What the nodes' agents started and wrote down, and leave running: wireguard-go."""
        found = []
        for path in self.path.glob("nodes/*/wireguard/*.pid"):
            pid, start = path.read_text().split()
            found.append(Process(path.stem, int(pid), int(start)))
        return found

    def forget_process(self, role: str) -> None:
        """It has ended."""
        self._remove(f"processes/{role}")

    def process(self, role: str) -> Process | None:
        """The process of that role, which may have ended since."""
        try:
            pid, start = (self.path / "processes" / role).read_text().split()
        except FileNotFoundError:
            return None
        return Process(role, int(pid), int(start))

    def processes(self) -> list[Process]:
        """All processes."""
        found = (self.process(role) for role in self._names("processes"))
        return [process for process in found if process is not None]

    def record_workload(self, workload: Workload) -> None:
        """A pod is about to be started."""
        self._write(f"workloads/{workload.short_id}.json", msgspec.json.encode(workload))

    def forget_workload(self, workload: Workload) -> None:
        """It has been stopped."""
        self._remove(f"workloads/{workload.short_id}.json")
        self._remove(f"workloads/{workload.short_id}.sock")

    def workloads(self) -> dict[str, Workload]:
        """All pods by namespace/name, sorted."""
        names = [name for name in self._names("workloads") if name.endswith(".json")]
        found = [self._read(f"workloads/{name}", Workload) for name in names]
        return {workload.name: workload for workload in sorted(found, key=lambda w: w.name)}

    def destroy(self) -> None:
        """Remove the directory: the last step of taking a lab down."""
        shutil.rmtree(self.path)

    def _names(self, part: str) -> list[str]:
        try:
            names = sorted(os.listdir(self.path / part))
        except FileNotFoundError:
            return []
        return [name for name in names if not name.startswith(".")]

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        staging = path.with_name(f".{path.name}.{os.getpid()}")
        staging.write_bytes(content)
        staging.rename(path)

    def _remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def _read(self, name: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except FileNotFoundError:
            raise no_such_lab(self.name, self.path.parent) from None


def no_such_lab(name: str, labs: Path = LABS) -> LabError:
    """The error for a lab that is not up, naming those that are."""
    known = names_of_labs(labs)
    hint = f"there is {', '.join(known)}" if known else "`tortie lab up` makes one"
    return LabError(f"lab {name!r} is not up: {hint}")


def names_of_labs(labs: Path = LABS) -> list[str]:
    """The labs on this machine."""
    return sorted(path.parent.name for path in labs.glob("*/plan.json"))


@contextmanager
def exclusive(name: str, waiting: Callable[[], None], labs: Path = LABS) -> Iterator[None]:
    """Keep other commands from changing the same lab; `waiting` is told when one has to be awaited.

    The kernel lets go of the lock with the process, however that ends. Raises LabError.
    """
    check_name(name)
    labs.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = labs / f".{name}.lock"
    descriptor = _locked(path, waiting)
    try:
        yield
    finally:
        if not (labs / name).exists():
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, waiting: Callable[[], None]) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever had it may have removed the file when it was done: then ours locks nothing.
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)
