"""How long the server bears with a client: the rules by which it is dropped. Pure."""

from typing import NamedTuple

from tortie.fanout.connection import Connection, Stage
from tortie.fanout.server_settings import ServerSettings

MOST_BEHIND = 64 << 20  # bytes of the trail that one client may hold
_LAST_WORDS = 5.0  # seconds for a client that is sent away to hear so


class Patience(NamedTuple):
    """Bounds in seconds."""

    handshake: float
    write: float
    pong: float
    behind: float
    grace: float

    @classmethod
    def of(cls, settings: ServerSettings) -> "Patience":
        """The settings' bounds."""
        return cls(
            settings.handshake_timeout,
            settings.write_timeout,
            settings.pong_timeout,
            settings.max_fall_behind,
            settings.new_client_grace,
        )


def fault(client: Connection, patience: Patience, now: float) -> str:
    """Why this client is to be dropped now; "": it is not."""
    if client.stage in (Stage.HANDSHAKE, Stage.GREETING):
        late = now - client.opened_at > patience.handshake
        return "it did not say hello in time" if late else ""
    if client.leaving_since is not None:
        return "sent away" if now - client.leaving_since > _LAST_WORDS else ""
    if client.owes_pong and now - client.pinged_at > patience.pong:
        return "it did not answer a ping in time"
    if client.stuck and now - client.moved_at > patience.write:
        return "it took nothing for too long"
    return _behind(client, patience, now)


def let_off(client: Connection, patience: Patience, now: float) -> bool:
    """Whether only the grace for new clients keeps it, while it still gets its picture."""
    return (
        now - client.behind_since > patience.behind
        and now - client.opened_at <= patience.grace
        and client.stage is Stage.SNAPSHOT
    )


def _behind(client: Connection, patience: Patience, now: float) -> str:
    if client.behind_bytes > MOST_BEHIND:
        return "it fell too far behind"
    late = now - client.behind_since > patience.behind
    return "it fell behind for too long" if late and not let_off(client, patience, now) else ""
