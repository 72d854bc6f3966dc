"""A container image made by hand: Debian's static busybox, and nothing else."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

NAME = "localhost/tortie-busybox:1"
_APPLETS = (
    "sh",
    "sleep",
    "ip",
    "ping",
    "nc",
    "wget",
    "httpd",
    "cat",
    "echo",
    "true",
    "kill",
    "date",
)


def busybox() -> str | None:
    """Where a busybox is that needs no library; None where there is none."""
    return shutil.which("busybox")


def save_image(target: Path) -> Path:
    """Write the image as an archive that `ctr images import` and `podman load` read."""
    layer = _layer()
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [NAME], "Layers": [layer_name]}]
    with tarfile.open(target, "w") as archive:
        _add(archive, config_name, config)
        _add(archive, layer_name, layer)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return target


def _layer() -> bytes:
    found = busybox()
    assert found is not None, "there is no busybox: install busybox-static"
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as layer:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(entry)
        _add(layer, "bin/busybox", Path(found).read_bytes(), 0o755)
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(entry)
    return whole.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))
