"""libnftables in this process: rule text in, one kernel transaction, the kernel's answer out.

The library opens its netlink socket when the context is made and keeps it, so a context belongs to
the network namespace of that moment. It is not safe for two threads at once.
"""

import ctypes
from types import TracebackType
from typing import Self

_LIBRARY = "libnftables.so.1"
_SHOWN_LINES = 12


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
    """One libnftables context, for one thread and the network namespace it was made in."""

    def __init__(self) -> None:
        self._library = _load()
        self._context: int | None = self._library.nft_ctx_new(0)
        if not self._context:
            raise NftError("libnftables gave no context: is this process root?")
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


def _for_people(errors: str) -> str:
    """The first lines of an error: one bad rule in thousands can echo them all."""
    lines = errors.strip().splitlines() or ["nftables refused the transaction without a word"]
    shown = [line if len(line) <= 200 else line[:200] + "…" for line in lines[:_SHOWN_LINES]]
    if len(lines) > _SHOWN_LINES:
        shown.append(f"… and {len(lines) - _SHOWN_LINES} more lines")
    return "\n".join(shown)
