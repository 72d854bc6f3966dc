"""Options of `tortie node check` for two nodes, and its listening side."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tortie.cli.errors import UserError

if TYPE_CHECKING:
    from tortie.requirements.peer.answers import PeerReport

_KEY = "TORTIE_CHECK_KEY"


def add_options(group: argparse._ActionsContainer) -> None:
    """How to reach it, and with which key."""
    group.add_argument("--peer", metavar="HOST", help="test what passes to and from this node")
    group.add_argument(
        "--listen", action="store_true", help="answer the tests of another node, and check nothing"
    )
    group.add_argument("--port", type=int, default=5483, help="of the listener (default: 5483)")
    group.add_argument("--bind", metavar="ADDRESS", default="0.0.0.0", help="where it listens")
    group.add_argument(
        "--seconds", type=int, default=600, help="how long it listens (default: 600)"
    )
    group.add_argument(
        "--key-file", metavar="FILE", help=f"the key that both sides share (else ${_KEY})"
    )


def ask(options: argparse.Namespace) -> "PeerReport | None":
    """What passes to and from the peer; None where none is named. Raises UserError."""
    if not options.peer:
        return None
    from tortie.requirements.peer.asking import ask_peer

    return ask_peer(options.peer, options.port, _key(options))


def _key(options: argparse.Namespace) -> bytes:
    """The key that both sides share. Raises UserError."""
    from tortie.requirements.peer.sealing import read_key

    text = _read_privately(options.key_file) if options.key_file else os.environ.get(_KEY, "")
    if not text.strip():
        raise UserError(
            f"give the key that the listener shows: --key-file FILE, or ${_KEY} (not on the command"
            " line, where every user of this machine sees it)"
        )
    try:
        return read_key(text)
    except ValueError as error:
        raise UserError(str(error)) from None


def _read_privately(name: str) -> str:
    path = Path(name)
    if path.stat().st_mode & 0o077:
        raise UserError(f"{path}: others may read this key: chmod 600 {path}")
    return path.read_text()


def listen(options: argparse.Namespace) -> int:
    """Answer for as long as is wanted. Raises UserError."""
    from tortie.requirements.peer.listening import Listener
    from tortie.requirements.peer.sealing import new_key, read_key

    given = options.key_file or os.environ.get(_KEY)
    shown = "" if given else new_key()
    key = read_key(shown) if shown else _key(options)
    try:
        listener = Listener(options.bind, options.port, key)
    except OSError as error:
        raise UserError(
            f"can't listen at {options.bind}, TCP {options.port}: {error.strerror}"
        ) from None
    print(f"listening at {options.bind}, TCP {listener.port}, for {options.seconds} s", flush=True)
    if shown:
        print(f"on the other node: {_KEY}={shown} tortie node check --peer HOST", flush=True)
    try:
        listener.serve(options.seconds, lambda line: print(line, flush=True))
    finally:
        listener.close()
    return 0
