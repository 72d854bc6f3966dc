"""Which of gRPC's words mean that etcd is away, and which that it refuses."""

import grpc
import pytest

from tortie.datastore.etcd import errors


class Said(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        self._code, self._text = code, text

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Socket closed"),
        (grpc.StatusCode.INTERNAL, "Internal error from Core"),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
    ],
)
def test_a_connection_that_breaks_is_an_outage(code: grpc.StatusCode, text: str) -> None:
    error = Said(code, text)
    assert errors.is_outage(error)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied"),
        (grpc.StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max"),
    ],
)
def test_a_refusal_is_none(code: grpc.StatusCode, text: str) -> None:
    assert not errors.is_outage(Said(code, text))
