"""libnftables in this process: rule text in, one kernel transaction, the kernel's answer out.

The library opens its netlink socket when the context is made and keeps it, so a context belongs to
the network namespace of that moment. It is not safe for two threads at once.
"""

import ctypes
import os
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

_LIBRARY = "libnftables.so.1"
_SHOWN_LINES = 12
_DESCRIPTORS = "/proc/self/fd"
_NETFILTER = 12


class NftError(RuntimeError):
    """nftables refused a text, or is not there. The message is for people; `text` is what ran."""

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message)
        self.text = text


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise NftError(
            f"{_LIBRARY} cannot be loaded ({error}): install the package libnftables1"
        ) from error
    context = ctypes.c_void_p
    signatures: dict[str, tuple[list[type], type | None]] = {
        "nft_ctx_new": ([ctypes.c_uint32], context),
        "nft_ctx_free": ([context], None),
        "nft_ctx_buffer_output": ([context], ctypes.c_int),
        "nft_ctx_buffer_error": ([context], ctypes.c_int),
        "nft_ctx_get_output_buffer": ([context], ctypes.c_char_p),
        "nft_ctx_get_error_buffer": ([context], ctypes.c_char_p),
        "nft_run_cmd_from_buffer": ([context, ctypes.c_char_p], ctypes.c_int),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library


class Nftables:
    """One libnftables context, for one thread and the network namespace it was made in.

    `port` is the netlink port from which it writes, 0 where that can't be found out: in the
    kernel's notifications it tells our own transactions from others'.
    """

    def __init__(self) -> None:
        self._library = _load()
        before = _descriptors()
        self._context: int | None = self._library.nft_ctx_new(0)
        if not self._context:
            raise NftError("libnftables gave no context: is this process root?")
        new = [found for name, found in _descriptors().items() if name not in before]
        self.port = next(filter(None, map(_bound_port, new)), 0)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> str:
        """Run commands as one transaction and return what they print.

        Raises NftError with the library's words; then nothing of `commands` is in force.
        """
        if self._context is None:
            raise NftError("this nftables context is closed")
        if "\0" in commands:
            raise NftError("the commands hold a zero byte, which would cut them short", commands)
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        # Each buffer empties itself when it is read: read both, whatever the status.
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        errors: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if status:
            raise NftError(_for_people(errors.decode("utf-8", "replace")), commands)
        return output.decode("utf-8", "replace")

    def close(self) -> None:
        """Free the context; closing it twice is harmless."""
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _descriptors() -> dict[str, int]:
    """This process's sockets: each one's own number, and its descriptor."""
    found = {}
    for name in os.listdir(_DESCRIPTORS):
        with suppress(OSError):  # closed by now, as the listing's own is
            found[os.readlink(f"{_DESCRIPTORS}/{name}")] = int(name)
    return {what: number for what, number in found.items() if what.startswith("socket:")}


def _bound_port(descriptor: int) -> int:
    """The netlink port of the library's socket, which would get one at its first request only."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as ours:
        if (ours.family, ours.proto) == (socket.AF_NETLINK, _NETFILTER):
            with suppress(OSError):
                ours.bind((0, 0))
            port: int = ours.getsockname()[0]
            return port
    return 0


def _for_people(errors: str) -> str:
    """The first lines of an error: one bad rule in thousands can echo them all."""
    lines = errors.strip().splitlines() or ["nftables refused the transaction without a word"]
    shown = [line if len(line) <= 200 else line[:200] + "…" for line in lines[:_SHOWN_LINES]]
    if len(lines) > _SHOWN_LINES:
        shown.append(f"… and {len(lines) - _SHOWN_LINES} more lines")
    return "\n".join(shown)
