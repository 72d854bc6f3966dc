"""Amazon's check of source and destination is set as the setting says, against a stand-in."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from cloud.amazon import Amazon
from tortie.cloud import source_check
from tortie.cloud.amazon import CloudError
from tortie.cloud.signing import Call, Credentials, signed_headers
from tortie.cloud.source_check import SourceCheck, ask_amazon

BOUND = 30.0


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    cloud = Amazon()
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    yield cloud
    cloud.close()


def test_a_signature_is_as_amazon_works_it_out() -> None:
    """`post-x-www-form-urlencoded` of Amazon's published test suite."""
    call = Call("example.amazonaws.com", b"Param1=value1", "us-east-1", "service")
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    headers = signed_headers(call, credentials, datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        " Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )


@pytest.mark.parametrize("is_checked", [False, True])
def test_one_request_sets_it_with_the_roles_credentials(amazon: Amazon, is_checked: bool) -> None:
    amazon.checks = not is_checked
    asyncio.run(ask_amazon(is_checked))
    assert amazon.checks is is_checked
    assert amazon.asked == [("ModifyNetworkInterfaceAttribute", "")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://[::1"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:999999"),
        ("AWS_ENDPOINT_URL_EC2", "http://[::1"),
        ("HTTPS_PROXY", "none://x"),
        ("SSL_CERT_FILE", "/nowhere"),
    ],
)
@pytest.mark.usefixtures("amazon")
def test_an_environment_that_cannot_be_used_is_told_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CloudError, match="the environment's"):
        asyncio.run(ask_amazon(False))


@pytest.mark.parametrize("attribute", ["metadata_token", "session"])
@pytest.mark.parametrize("odd", ["é", "a\nb", " "])
def test_a_token_that_no_header_carries_is_told_without_showing_it(
    amazon: Amazon, attribute: str, odd: str
) -> None:
    setattr(amazon, attribute, f"hidden{odd}hidden")
    with pytest.raises(CloudError, match="that no request can carry") as found:
        asyncio.run(ask_amazon(False))
    assert "hidden" not in str(found.value)


def _wrong_role(amazon: Amazon) -> None:
    amazon.overrides["meta-data/iam/security-credentials/"] = "../../etc"


def _wrong_region(amazon: Amazon) -> None:
    amazon.overrides["meta-data/placement/region"] = "evil.example/?"


def _wrong_interface(amazon: Amazon) -> None:
    amazon.overrides[next(one for one in amazon.metadata() if "interface-id" in one)] = "eni-&x=1"


def _no_credentials(amazon: Amazon) -> None:
    role = next(one for one in amazon.metadata() if one.endswith("node-role"))
    amazon.overrides[role] = '{"Code": "Failed"}'


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda amazon: setattr(amazon, "has_role", False), "this machine has no role"),
        (
            lambda amazon: setattr(amazon, "is_allowed", False),
            "UnauthorizedOperation: You may not.; the machine's role needs"
            " ec2:ModifyNetworkInterfaceAttribute",
        ),
        (lambda amazon: setattr(amazon, "failures", 1), "RequestLimitExceeded"),
        (_wrong_role, "which is no role"),
        (_wrong_region, "which is no region"),
        (_wrong_interface, "which is no interface"),
        (_no_credentials, "has no credentials of the role node-role"),
        (lambda amazon: amazon.close(), "can't be reached"),
    ],
)
def test_what_goes_wrong_is_said_without_secrets(
    amazon: Amazon, spoil: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(spoil)
    spoil(amazon)
    if reason == "can't be reached":
        monkeypatch.setattr(amazon, "close", lambda: None)
    with pytest.raises(CloudError) as failed:
        asyncio.run(ask_amazon(False))
    text = f"{failed.value} {failed.value!r}"
    assert reason in text
    assert "hUgeBlob" not in text
    assert not [secret for secret in amazon.secrets if secret in text]
    assert amazon.checks is True


def test_another_region_gives_another_signature(amazon: Amazon) -> None:
    amazon.overrides["meta-data/placement/region"] = "eu-central-2"
    with pytest.raises(CloudError, match="SignatureDoesNotMatch"):
        asyncio.run(ask_amazon(False))


def test_credentials_are_never_shown() -> None:
    assert "geheim" not in repr(Credentials("id", "geheim", "geheim"))


def test_nothing_is_asked_unless_somebody_says_so_and_then_until_it_is_done() -> None:
    """A refusal is a reason to be not ready, and is tried again; what is wanted may change."""
    asked: list[bool] = []
    told: list[str] = []
    failures = 3
    moved = asyncio.Event()

    async def ask(is_checked: bool) -> None:
        nonlocal failures
        asked.append(is_checked)
        if failures:
            failures -= 1
            raise CloudError("no right")

    def tell(reason: str) -> None:
        told.append(reason)
        moved.set()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND):
            while not condition():
                await moved.wait()
                moved.clear()

    async def scenario() -> None:
        nonlocal failures
        check = SourceCheck("DoNothing", ask, tell, shortest=0.001)
        running = asyncio.create_task(check.run())
        await until(lambda: bool(told))
        assert (asked, told) == ([], [""])
        check.configure("Disable")
        await until(lambda: asked == [False] * 4 and told[-1] == "")
        assert told[-2] == "AWSSrcDstCheck is Disable: no right"
        assert told[1] == source_check.WAITING
        failures = 1_000_000
        check.configure("Enable")
        await until(lambda: "AWSSrcDstCheck is Enable: no right" in told)
        check.configure("DoNothing")
        await until(lambda: told[-1] == "")
        count = len(asked)
        failures = 0
        check.configure("Enable")
        await until(lambda: told[-1] == "" and len(asked) > count)
        assert asked[-1] is True
        running.cancel()

    asyncio.run(scenario())
