"""What packages' scripts would do on a machine, as far as the image needs it."""

from pathlib import Path

from tools.image.recipe import ACCOUNTS, ALTERNATIVES, NAME, SUITE

_CERTIFICATES = "usr/share/ca-certificates/mozilla"


def furnish(root: Path, packages: list[str]) -> None:
    """Accounts, links, authorities' certificates, the folders that programs write into."""
    _write(
        root / "etc/passwd", [f"{n}:x:{i}:{i}:{n}:{h}:/usr/sbin/nologin" for n, i, h in ACCOUNTS]
    )
    _write(root / "etc/group", [f"{name}:x:{number}:" for name, number, _ in ACCOUNTS])
    _write(root / "etc/nsswitch.conf", ["passwd: files", "group: files", "hosts: files dns"])
    _write(root / "etc/debian_version", [SUITE])
    _write(root / "usr/share/tortie/packages", packages)
    _write(root / "usr/share/tortie/image", [NAME])
    for name, target in ALTERNATIVES.items():
        _link(root / name, target)
    _link(root / "usr/bin/python3", "python3.11")
    _link(root / "usr/bin/sh", "dash")
    authorities = sorted((root / _CERTIFICATES).glob("*.crt"))
    certificates = "".join(path.read_text() for path in authorities)
    path = root / "etc/ssl/certs/ca-certificates.crt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(certificates)
    for folder, mode in (("tmp", 0o1777), ("run", 0o755), ("root", 0o700), ("proc", 0o755)):
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(mode)
    for folder in ("sys", "dev", "var/lib/tortie", "var/lib/calico", "etc/tortie", "var/log"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _link(root / "var/run", "/run")


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _link(path: Path, target: str) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    if not path.is_dir():
        path.symlink_to(target)
