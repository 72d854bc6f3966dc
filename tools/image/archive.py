"""Layers as an archive of the Open Container Initiative's image layout, version 1.0.0."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.image.layers import Layer
from tools.image.recipe import NAME, PATH, VERSION, Processor

_OCI = "application/vnd.oci.image"


def write(layers: Sequence[Layer], processor: Processor, target: Path, epoch: int) -> str:
    """Write the archive; the image's digest."""
    blobs = {layer.packed: layer.path.read_bytes() for layer in layers}
    config = _blob(blobs, _config(layers, processor, epoch))
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": _described(f"{_OCI}.config.v1+json", config, len(blobs[config])),
        "layers": [
            _described(f"{_OCI}.layer.v1.tar+gzip", layer.packed, layer.size) for layer in layers
        ],
    }
    digest = _blob(blobs, manifest)
    entry = _described(f"{_OCI}.manifest.v1+json", digest, len(blobs[digest]))
    entry["platform"] = _platform(processor)
    entry["annotations"] = {
        "io.containerd.image.name": NAME,
        "org.opencontainers.image.ref.name": VERSION,
    }
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [entry]}
    staging = target.with_suffix(".new")
    with tarfile.open(staging, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', epoch)
        _add(archive, "index.json", _bytes(index), epoch)
        for name in sorted(blobs):
            _add(archive, f"blobs/sha256/{name}", blobs[name], epoch)
    staging.replace(target)
    return f"sha256:{digest}"


def _config(layers: Sequence[Layer], processor: Processor, epoch: int) -> dict[str, Any]:
    made = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": made,
        **_platform(processor),
        "config": {
            "Env": [f"PATH={PATH}", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8"],
            "Cmd": ["tortie", "--help"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "tortie",
                "org.opencontainers.image.version": VERSION,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.plain}" for layer in layers]},
        "history": [{"created": made, "created_by": "tools.image"} for _ in layers],
    }


def _platform(processor: Processor) -> dict[str, str]:
    variant = {"variant": processor.variant} if processor.variant else {}
    return {"architecture": processor.oci, "os": "linux", **variant}


def _described(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def _blob(blobs: dict[str, bytes], content: object) -> str:
    data = _bytes(content)
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return digest


def _bytes(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def _add(archive: tarfile.TarFile, name: str, data: bytes, epoch: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), epoch, 0o644
    archive.addfile(entry, io.BytesIO(data))
