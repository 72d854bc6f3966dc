"""What a server answers, as errors for people."""

import json

import pytest

from tortie.datastore import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unavailable,
)
from tortie.datastore.kubernetes.errors import (
    Asked,
    Details,
    Status,
    is_unknown_resource,
    refusal,
    status_of,
)

ASKED = Asked("Tier(a)", "https://api:6443", "user 'me' of kubeconfig k (tokenFile t)", True)


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (Status(code=401), Forbidden, "does not accept user 'me' of kubeconfig k"),
        (
            Status(code=403, message='tiers is forbidden: User "x" cannot list resource "tiers"'),
            Forbidden,
            'no right: .*User "x" cannot list resource "tiers".*grant it by RBAC',
        ),
        (Status(code=403, message="denied by a webhook"), Forbidden, "does not allow .*webhook"),
        (Status(code=404, details=Details(name="a")), NotFound, r"there is no Tier\(a\)"),
        (
            Status(code=404, details=Details(name="n", kind="namespaces")),
            Invalid,
            "no namespace n: create it first",
        ),
        (Status(code=409, reason="AlreadyExists"), AlreadyExists, "is there already"),
        (Status(code=409, reason="Conflict", message="x"), Conflict, "read it again"),
        (Status(code=410, message="too old"), Gone, "list again"),
        (Status(code=422, message="spec.order: bad"), Invalid, "refuses .*spec.order: bad"),
        (Status(code=413), Invalid, "413"),
        (Status(code=500, message="etcdserver: request is too large"), Invalid, "too large"),
        (Status(code=500, message="x"), Unavailable, "may have been done"),
        (Status(code=429, message="slow down"), Unavailable, "is overloaded .*slow down$"),
        (Status(code=503, message="x\ny"), Unavailable, r"can't answer \(503\): x y"),
    ],
)
def test_each_answer_is_one_line_of_its_kind(
    status: Status, kind: type[Exception], text: str
) -> None:
    error = refusal(status, ASKED)
    assert type(error) is kind
    with pytest.raises(kind, match=text):
        raise error
    assert "\n" not in str(error)


def test_what_is_no_status_is_shown_in_part() -> None:
    status = status_of(502, b"<html>Bad\x1b[31m Gateway</html>" + b"x" * 5000)
    text = str(refusal(status, ASKED))
    assert "<html>Bad[31m Gateway" in text
    assert len(text) < 1200


def test_a_missing_kind_is_no_missing_object() -> None:
    body = json.dumps({"code": 404, "reason": "NotFound", "details": {}}).encode()
    assert is_unknown_resource(status_of(404, body))
    assert is_unknown_resource(status_of(404, b"404 page not found\n"))
    assert not is_unknown_resource(Status(code=404, details=Details(name="a")))
