"""One run of the small virtual machine: QEMU and two virtiofsd, started, watched and ended.

QEMU computes what the processor would do (TCG), so it runs where there is no /dev/kvm, and where
there is one that does not work, as inside other virtual machines. TORTIE_VM_ACCEL=kvm overrules.
"""

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from servers.process import running
from vm.initramfs import initramfs
from vm.kernel import Kernel

QEMU = "qemu-system-x86_64"
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
MEMORY = 2048  # MiB; a guest takes only what it touches
LEAST_MEMORY = 512
ACCEL = "TORTIE_VM_ACCEL"
# Emulated, safety from processors' faults is dear, and namespaces end slowly by default. What is
# translated is found again at its address only: libraries at random ones cost each Python a third.
_KERNEL = (
    "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off rcupdate.rcu_expedited=1 audit=0"
    " norandmaps"
)
_DOWN = b"vm: down"  # what comes after it is the kernel's
_START = Path(__file__).parent / "guest" / "start"
_OWN_RUN = "mount -t tmpfs run /run"  # where virtiofsd may write its lock
_READ_ONLY = 'mount --rbind / "$0" && mount -o remount,bind,ro "$0"'


class Ended(NamedTuple):
    """How a job ended: its exit code, None where the guest never said one, and the console."""

    code: int | None
    console: str


class Guest(NamedTuple):
    """A virtual machine whose root is this machine's files, read-only under one in memory."""

    kernel: Kernel
    folder: Path  # in the guest /run/job: the one place where what it writes stays
    memory: int  # MiB

    def run(self, job: str, seconds: float, show: Callable[[str], None]) -> Ended:
        """Boot, run the shell script `job`, power off: within `seconds`, or be ended.

        `show` gets what the guest prints.
        """
        deadline = time.monotonic() + seconds
        parameters = f"VERSION='{self.kernel.version}'\nMODULES='{self.kernel.modules}'\n"
        for name, text in (
            ("job", job),
            ("start", _START.read_text()),
            ("parameters", parameters),
        ):
            (self.folder / name).write_text(text)
        with tempfile.TemporaryDirectory(prefix="tortie-vm-") as own, ExitStack() as stack:
            private = Path(own)
            archive = private / "initramfs"
            archive.write_bytes(initramfs(self.kernel))
            (private / "root").mkdir()
            shares = {
                "host": stack.enter_context(_share(private / "root", private / "host", _READ_ONLY)),
                "job": stack.enter_context(_share(self.folder, private / "job")),
            }
            process = stack.enter_context(_started(self._command(archive, shares)))
            console = _console(process, deadline, show)
        return Ended(self._code(), console)

    def _command(self, archive: Path, shares: dict[str, Path]) -> list[str]:
        accel = os.environ.get(ACCEL) or "tcg,thread=multi"
        memory = f"memory-backend-memfd,id=memory,size={self.memory}M,share=on"
        command = [QEMU, "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]
        command += ["-M", "q35", "-accel", accel, "-cpu", "max", "-smp", "2"]
        command += ["-m", str(self.memory), "-object", memory, "-numa", "node,memdev=memory"]
        command += ["-kernel", str(self.kernel.image), "-initrd", str(archive)]
        command += ["-append", _KERNEL]
        for tag, socket in shares.items():
            command += ["-chardev", f"socket,id={tag},path={socket}"]
            command += ["-device", f"vhost-user-fs-pci,chardev={tag},tag={tag},queue-size=1024"]
        return command

    def _code(self) -> int | None:
        try:
            return int((self.folder / "exit").read_text())
        except (FileNotFoundError, ValueError):
            return None


@contextmanager
def _share(folder: Path, socket: Path, also: str = "true") -> Iterator[Path]:
    """A virtiofsd that serves `folder`, in a mount namespace where the shell runs `also` first."""
    serve = [VIRTIOFSD, f"--socket-path={socket}", "-o", f"source={folder},cache=always"]
    prepare = f'{_OWN_RUN} && {also} && exec "$@"'
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        prepare,
        str(folder),
        *serve,
        "-o",
        "log_level=err",
    ]
    with running(command, socket.with_suffix(".log"), socket.exists):
        yield socket


@contextmanager
def _started(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """QEMU, which the kernel ends if this process dies first."""
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _console(
    process: "subprocess.Popen[bytes]", deadline: float, show: Callable[[str], None]
) -> str:
    """All that it prints until it ends or the time is over; shown until `start` says goodbye."""
    assert process.stdout is not None
    seen, shown = b"", 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            seen += chunk
            until = _end(seen)
            show(_text(seen[shown:until]))
            shown = until
    return _text(seen)


def _end(seen: bytes) -> int:
    """Where the goodbye begins, or may begin."""
    last = seen.rfind(b"\n") + 1
    if _DOWN in seen:
        return seen.find(_DOWN)
    return last if _DOWN.startswith(seen[last:]) else len(seen)


def _text(console: bytes) -> str:
    return console.replace(b"\r", b"").decode(errors="replace")
