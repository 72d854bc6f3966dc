"""The words of BIRD's language, each made from a value of a type that can't say anything else.

Whatever a person wrote (a resource's name, a password, an interface) gets into BIRD's text through
one of these, or not at all. Pure.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

from tortie.net import Prefix, format_address

LONGEST_SYMBOL = 64  # characters, of BIRD
LONGEST_PASSWORD = 80  # bytes, of the kernel's TCP MD5 keys
_UNSAFE = re.compile(r"[^a-z0-9]+")
_INTERFACE = re.compile(r"[A-Za-z0-9_.*-]{1,15}")
_SHOWN = re.compile(r"[^ -!#-~]")  # printable ASCII, but for the quotation mark
_READABLE = 30  # characters of a name that a symbol shows


class Password:
    """A session's password. It is never shown: not by repr, not in a log, not in an error."""

    __slots__ = ("_text",)

    def __init__(self, value: bytes) -> None:
        """Raises ValueError, without the value, where BIRD or the kernel could not take it."""
        self._text = _password(value)

    def reveal(self) -> str:
        """The password, for BIRD's text alone."""
        return self._text

    def __repr__(self) -> str:
        return "Password(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Password) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Password, self._text))


def _password(value: bytes) -> str:
    if not value:
        raise ValueError("the password is empty")
    if len(value) > LONGEST_PASSWORD:
        raise ValueError(
            f"the password has {len(value)} bytes: TCP takes {LONGEST_PASSWORD} at most"
        )
    if value[-1:] in (b"\n", b"\r"):
        raise ValueError(
            "the password ends with a line break: write the Secret without it (printf, not echo)"
        )
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("the password has bytes beyond ASCII: peers disagree about them") from None
    if not text.isprintable() or '"' in text:
        raise ValueError("the password has a control character or \": BIRD can't be told it")
    return text


def password(value: Password) -> str:
    """The quoted text of a password. BIRD's strings know no escapes."""
    return f'"{value.reveal()}"'


def symbol(kind: str, name: str) -> str:
    """A name for BIRD, readable, and another one for each (kind, name)."""
    readable = _UNSAFE.sub("_", name.lower())[:_READABLE].strip("_")
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()[:10]
    return f"{kind}_{readable}_{digest}"


def remark(text: str) -> str:
    """A comment's text: what could end the line or its quotation is shown as a point."""
    return _SHOWN.sub(".", text)[:120]


def address(version: int, value: int) -> str:
    """An address."""
    return format_address(version, value)


def network(prefix: Prefix) -> str:
    """A prefix, host bits zero as BIRD wants."""
    return str(prefix.network)


def within(prefixes: Iterable[Prefix]) -> str:
    """The set of these prefixes and all longer ones in them: `[ 10.0.0.0/8+ ]`."""
    return "[ " + ", ".join(f"{network(prefix)}+" for prefix in sorted(prefixes)) + " ]"


def interface_pattern(name: str) -> str:
    """A quoted interface name, `*` for anything. Raises ValueError."""
    if not _INTERFACE.fullmatch(name):
        raise ValueError(f"{name!r} is no interface: 1 to 15 of A-Z a-z 0-9 _ . - and *")
    return f'"{name}"'


def community(parts: tuple[int, ...]) -> str:
    """A community as a value: `(64512, 100)` or `(64512, 1, 2)`."""
    return "(" + ", ".join(str(int(part)) for part in parts) + ")"


def community_list(parts: tuple[int, ...]) -> str:
    """Which of a route's lists holds a community of this form."""
    return "bgp_community" if len(parts) == 2 else "bgp_large_community"
