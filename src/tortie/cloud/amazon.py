"""Two of Amazon's services, as far as one request needs them: a machine's metadata, and EC2's API.

The metadata service (IMDSv2) is asked with a token of its own, says which interface is the first,
and lends the credentials of the machine's role. The one request is ModifyNetworkInterfaceAttribute,
and the right to it is the only one that the role needs.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from tortie.cloud.signing import Call, Credentials, signed_headers

if TYPE_CHECKING:
    import httpx

METADATA = "http://169.254.169.254"
METADATA_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"  # as Amazon's own tools have it
API_VARIABLE = "AWS_ENDPOINT_URL_EC2"
_VERSION = "2016-11-15"
_TOKEN_SECONDS = "60"
_SECONDS = 10.0
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_INTERFACE = re.compile(r"eni-[0-9a-f]{8,40}")
_ROLE = re.compile(r"[\w+=,.@-]{1,128}")
_HEADER = re.compile(r"[\x21-\x7e]{1,16384}")  # what a header can carry
_CODE = re.compile(r"<Code>([\w.]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})")
_HIDDEN = re.compile(r"(?i)encoded authorization failure message: \S+")


class CloudError(Exception):
    """Amazon refuses, or can't be reached; the message is for people and has no secret."""


class _Lent(Struct, frozen=True):
    key_id: str = msgspec.field(name="AccessKeyId")
    secret: str = msgspec.field(name="SecretAccessKey")
    token: str = msgspec.field(name="Token", default="")

    def __repr__(self) -> str:
        return "_Lent(…)"


class Instance(Struct, frozen=True):
    """This machine: its first interface, its region, and what it may ask with."""

    interface: str
    region: str
    credentials: Credentials


class Metadata:
    """The machine's metadata service."""

    def __init__(self, http: "httpx.AsyncClient", environ: Mapping[str, str] = os.environ) -> None:
        self._http = http
        self._base = (environ.get(METADATA_VARIABLE) or METADATA).rstrip("/")

    async def instance(self) -> Instance:
        """All that is needed, asked anew. Raises CloudError."""
        token = await self._token()
        mac = _checked("mac", await self._get("meta-data/mac", token), _MAC)
        place = f"meta-data/network/interfaces/macs/{mac}/interface-id"
        interface = _checked("interface", await self._get(place, token), _INTERFACE)
        region = _checked("region", await self._get("meta-data/placement/region", token), _REGION)
        return Instance(interface, region, await self._credentials(token))

    async def _token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}
        return _carried("token", await self._ask("PUT", "api/token", headers))

    async def _credentials(self, token: str) -> Credentials:
        folder = "meta-data/iam/security-credentials/"
        role = (
            await self._get(folder, token, "this machine has no role (instance profile)")
        ).split()
        name = _checked("role", role[0] if role else "", _ROLE)
        try:
            lent = msgspec.json.decode(await self._get(folder + name, token), type=_Lent)
        except msgspec.DecodeError:
            raise CloudError(
                f"the metadata service has no credentials of the role {name}"
            ) from None
        key_id = _carried("key's name", lent.key_id)
        return Credentials(key_id, lent.secret, lent.token and _carried("token", lent.token))

    async def _get(self, path: str, token: str, missing: str = "") -> str:
        return await self._ask("GET", path, {"X-aws-ec2-metadata-token": token}, missing)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], missing: str = ""
    ) -> str:
        import httpx

        try:
            answer = await self._http.request(
                method, f"{self._base}/latest/{path}", headers=headers, timeout=_SECONDS
            )
        except httpx.HTTPError as problem:
            raise CloudError(
                f"the metadata service {self._base} can't be reached ({_why(problem)}): is this a"
                " machine of Amazon's, and may containers ask it (hop limit)?"
            ) from None
        if answer.status_code == 404 and missing:
            raise CloudError(missing)
        if answer.status_code != 200:
            raise CloudError(f"the metadata service refuses {path}: {answer.status_code}")
        return answer.text.strip()


class Ec2:
    """EC2's API, spoken to as one role."""

    def __init__(self, http: "httpx.AsyncClient", environ: Mapping[str, str] = os.environ) -> None:
        self._http = http
        self._given = environ.get(API_VARIABLE, "").rstrip("/")

    async def check_source(self, instance: Instance, is_checked: bool) -> None:
        """Have the interface drop packets that are not its own, or not. Raises CloudError."""
        url = self._given or f"https://ec2.{instance.region}.{_domain(instance.region)}"
        form = {
            "Action": "ModifyNetworkInterfaceAttribute",
            "NetworkInterfaceId": instance.interface,
            "SourceDestCheck.Value": "true" if is_checked else "false",
            "Version": _VERSION,
        }
        call = Call(urlsplit(url).netloc, urlencode(form).encode(), instance.region)
        headers = signed_headers(call, instance.credentials, datetime.now(UTC))
        await self._post(url, call.body, headers)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        import httpx

        try:
            answer = await self._http.post(f"{url}/", content=body, headers=headers)
        except httpx.HTTPError as problem:
            raise CloudError(f"EC2's API {url} can't be reached: {_why(problem)}") from None
        if answer.status_code != 200:
            raise CloudError(f"EC2's API refuses: {_refusal(answer.status_code, answer.text)}")


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _refusal(status: int, text: str) -> str:
    """In Amazon's words, but for what only its own tools can read."""
    code, message = _CODE.search(text), _MESSAGE.search(text)
    if code is None:
        return f"HTTP status {status}"
    said = _HIDDEN.sub("", message[1]).strip() if message else ""
    advice = ""
    if code[1] in ("UnauthorizedOperation", "AccessDenied"):
        advice = "; the machine's role needs ec2:ModifyNetworkInterfaceAttribute"
    return f"{code[1]}: {said}{advice}"


def _checked(what: str, text: str, pattern: re.Pattern[str]) -> str:
    """What becomes part of an address or a request is what it should be."""
    if not pattern.fullmatch(text):
        raise CloudError(f"the metadata service says {text[:40]!r}, which is no {what}")
    return text


def _carried(what: str, text: str) -> str:
    """What goes into a header; it is a secret, so that no error shows it."""
    if not _HEADER.fullmatch(text):
        raise CloudError(f"the metadata service gives a {what} that no request can carry")
    return text


def _why(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
