"""Questions to this node's daemons, over their control sockets."""

import json
import os
import socket
from typing import Any

from tortie.cli.errors import UserError

RUN_DIR = "/run/tortie"
_PATIENCE = 30.0  # seconds


def run_dir_of(given: str | None) -> str:
    """Where the daemons' sockets are: as given, else TORTIE_RUN_DIR, else /run/tortie."""
    return given or os.environ.get("TORTIE_RUN_DIR") or RUN_DIR


def ask(path: str, verb: str, daemon: str) -> dict[str, Any]:
    """The answer of `daemon` ("tortie agent") at its socket. Raises UserError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_PATIENCE)
            sock.connect(path)
            sock.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            with sock.makefile("rb") as answers:
                line = answers.readline()
    except FileNotFoundError:
        raise UserError(f"there is no {path}: is `{daemon}` running on this node?") from None
    except PermissionError:
        raise UserError(f"{path} is for root only") from None
    except OSError as problem:
        raise UserError(f"{path}: {problem.strerror or problem}") from None
    reply: dict[str, Any] = json.loads(line) if line else {"ok": False, "error": "no answer"}
    if not reply.get("ok"):
        raise UserError(f"{path}: {reply.get('error')}")
    return reply
