"""The sessions in a configuration of ours, with their passwords: read back from its text. Pure.

A daemon that was started again has no other memory of them, and may not be able to ask.
"""

import re

from tortie.bgp.passwords import Kept
from tortie.bgp.words import Password

_SESSION = re.compile(r"protocol bgp (\w+) from peers \{")
_PASSWORD = re.compile(r'  password "([^"]+)";')
_END = "}"


def sessions_in(text: str) -> Kept:
    """The sessions by symbol; what is no text of ours has none."""
    found: dict[str, Password | None] = {}
    symbol = ""
    for line in text.splitlines():
        if (head := _SESSION.fullmatch(line)) is not None:
            symbol = head[1]
            found[symbol] = None
        elif line == _END:
            symbol = ""
        elif symbol and (secret := _PASSWORD.fullmatch(line)) is not None:
            found[symbol] = _password(secret[1])
    return found


def _password(text: str) -> Password | None:
    try:
        return Password(text.encode())
    except ValueError:
        return None
