"""The guest's first file system: busybox, `guest/init` and the few modules that it needs.

The format is cpio's "newc" (kernel: Documentation/driver-api/early-userspace/buffer-format.rst):
a header of fields of eight hexadecimal digits, the name, the content, each to a multiple of four.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_IFCHR, S_IFDIR, S_IFREG

from vm.kernel import Kernel, NoVm

INIT = Path(__file__).parent / "guest" / "init"
_NEEDED = ("virtio_pci", "virtiofs", "overlay")
_FOLDERS = ("bin", "dev", "lower", "modules", "over", "proc", "root", "sys")


def initramfs(kernel: Kernel) -> bytes:
    """The archive. Raises NoVm where a part of it is not on this machine."""
    try:
        contents = {one.name: one.read_bytes() for one in in_order(kernel, _NEEDED)}
        busybox = kernel.busybox.read_bytes()
    except OSError as error:
        raise NoVm(f"{error}: remove {kernel.image.parent.parent}, it is made anew") from None
    order = "".join(f"{name}\n" for name in contents).encode()
    return b"".join(
        [
            *(_entry(name, S_IFDIR | 0o755) for name in _FOLDERS),
            _entry("dev/console", S_IFCHR | 0o600, device=(5, 1)),
            _entry("bin/busybox", S_IFREG | 0o755, busybox),
            _entry("init", S_IFREG | 0o755, INIT.read_bytes()),
            _entry("modules/order", S_IFREG | 0o644, order),
            *(_entry(f"modules/{name}", S_IFREG | 0o644, one) for name, one in contents.items()),
            _entry("TRAILER!!!", 0),
        ]
    )


def in_order(kernel: Kernel, names: Iterable[str]) -> Iterator[Path]:
    """Files of these modules and of all that they need, each after what it needs."""
    needs = dict(_dependencies((kernel.modules / "modules.dep").read_text()))
    wanted = {path for path in needs if Path(path).stem in set(names)}
    seen: set[str] = set()
    for path in sorted(wanted):
        for one in (*reversed(needs[path]), path):  # modules.dep has the deepest last
            if one not in seen:
                seen.add(one)
                yield kernel.modules / one


def _dependencies(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        path, _, needed = line.partition(":")
        yield path, needed.split()


def _entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
    header = "070701" + "".join(f"{one:08x}" for one in fields)
    return _padded(header.encode() + encoded) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
