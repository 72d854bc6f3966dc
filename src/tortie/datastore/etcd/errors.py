"""etcd's answers as our errors: what failed, for whom, what to do. Pure."""

import grpc

from tortie.datastore.contract import (
    DatastoreError,
    Forbidden,
    Gone,
    Invalid,
    Rewound,
    Unavailable,
)

_Code = grpc.StatusCode
_OUTAGE = {
    _Code.UNAVAILABLE,
    _Code.DEADLINE_EXCEEDED,
    _Code.CANCELLED,
    _Code.UNKNOWN,
    _Code.INTERNAL,  # gRPC's own word for a connection that breaks while it writes
}
_NO_CONNECTION = ("failed to connect", "dns resolution failed", "errors resolving")
_NEVER_SENT = (*_NO_CONNECTION, "etcdserver: no leader")
_STALE_TOKEN = (
    "user name is empty",
    "invalid auth token",
    "revision of auth store is old",
    "auth revision is old",
)
_ADVICE: tuple[tuple[str, type[DatastoreError], str], ...] = (
    (
        "revision has been compacted",
        Gone,
        "etcd has compacted that revision: list again, then go on from there",
    ),
    (
        "required revision is a future revision",
        Rewound,
        "etcd has not come to that revision, so it was another life of the store: list again",
    ),
    (
        "request is too large",
        Invalid,
        "the object is larger than etcd takes (1.5 MiB, or its --max-request-bytes): split it",
    ),
    (
        "received message larger than max",
        Invalid,
        "the object is larger than etcd takes (1.5 MiB, or its --max-request-bytes): split it",
    ),
    (
        "database space exceeded",
        Unavailable,
        "etcd's database is full and takes no writes: compact and defragment it, or raise "
        "--quota-backend-bytes, then disarm the alarm",
    ),
    (
        "requested lease not found",
        Unavailable,
        "the lease has run out, and with it what it held",
    ),
)


def details(error: grpc.RpcError) -> str:
    """What the member, or gRPC for it, said."""
    found: str = error.details() or ""
    return found


def is_outage(error: grpc.RpcError) -> bool:
    """Whether another member may answer what this one did not."""
    return code(error) in _OUTAGE or (
        code(error) == _Code.RESOURCE_EXHAUSTED and "too many requests" in details(error)
    )


def was_never_sent(error: grpc.RpcError) -> bool:
    """Whether the request certainly did nothing."""
    text = details(error).lower()
    return any(part in text for part in _NEVER_SENT) or "too many requests" in text


def is_refused_connection(error: grpc.RpcError) -> bool:
    """Whether nobody that we can speak with is there."""
    return details(error).lower().startswith(_NO_CONNECTION)


def is_of_cluster(error: grpc.RpcError) -> bool:
    """Whether a member itself told of the failure, so that our way to it is fine."""
    return details(error).startswith("etcdserver")


def may_be_over(error: grpc.RpcError) -> bool:
    """Whether gRPC may only repeat what it found before: between attempts it asks nobody."""
    return "connection refused" in details(error).lower()


def reason(error: grpc.RpcError) -> str:
    """What gRPC or the member said last, for people."""
    return details(error).rpartition("last error: ")[2] or code(error).name


def is_stale_token(error: grpc.RpcError) -> bool:
    """Whether to log in again; the request did nothing."""
    return any(part in details(error) for part in _STALE_TOKEN)


def is_without_authentication(error: grpc.RpcError) -> bool:
    """Whether the cluster has no users at all."""
    return "authentication is not enabled" in details(error)


def code(error: grpc.RpcError) -> grpc.StatusCode:
    """The kind of failure."""
    found: grpc.StatusCode = error.code()
    return found


def refusal(error: grpc.RpcError, username: str, asked: str) -> DatastoreError:
    """Why etcd did not do what was `asked` ("read /calico/..."), by a member that answers."""
    text = details(error)
    if "permission denied" in text:
        return forbidden(username, asked)
    if "authentication failed" in text:
        return Forbidden(
            f"etcd refuses the user {username!r} with this password: check ETCD_USERNAME and "
            "ETCD_PASSWORD"
        )
    if "user name is empty" in text:
        return Forbidden(
            f"etcd wants a user to {asked}: set ETCD_USERNAME and ETCD_PASSWORD, or use a client "
            "certificate whose CN is a user"
        )
    for part, kind, advice in _ADVICE:
        if part in text:
            return kind(advice)
    return DatastoreError(f"etcd refused to {asked}: {text or code(error).name}")


def forbidden(username: str, asked: str) -> Forbidden:
    """The user is known but lacks the right."""
    who = f"user {username!r}" if username else "user of this client certificate"
    return Forbidden(f"the {who} may not {asked} in etcd: grant its role that right")
