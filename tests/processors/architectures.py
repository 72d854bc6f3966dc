"""The processors that the pure packages and the codecs are tried on, besides this machine's."""

from typing import NamedTuple


class Architecture(NamedTuple):
    """One processor, in the words of Debian, of QEMU and of the compilers."""

    debian: str
    qemu: str
    triplet: str
    byteorder: str

    @property
    def compilers(self) -> tuple[str, ...]:
        """Debian packages of the cross compilers and of the C library's headers."""
        gnu = self.triplet.replace("_", "-")
        return f"gcc-{gnu}", f"g++-{gnu}", f"libc6-dev-{self.debian}-cross"


KNOWN = {
    one.debian: one
    for one in (
        Architecture("s390x", "s390x", "s390x-linux-gnu", "big"),
        Architecture("arm64", "aarch64", "aarch64-linux-gnu", "little"),
        Architecture("ppc64el", "ppc64le", "powerpc64le-linux-gnu", "little"),
    )
}
