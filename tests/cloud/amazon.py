"""A stand-in for two of Amazon's services, since nobody can have the real ones in a test.

IMDSv2 as its documentation says: a token by PUT, without which nothing is answered. EC2's Query
API: one action, whose signature (version 4) is worked out anew here, by other code than what is
tested.
"""

import hashlib
import hmac
import json
import secrets
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

ROLE = "node-role"
MAC = "02:2e:5a:00:00:01"
INTERFACE = "eni-0123456789abcdef0"
REGION = "eu-central-1"
KEY_ID = "ASIAEXAMPLEEXAMPLE00"
_FORM = "application/x-www-form-urlencoded"


class Amazon:
    """The state of the cloud; `checks` is the interface's check of source and destination."""

    def __init__(self):
        self.secret = secrets.token_hex(20)
        self.session = secrets.token_hex(32)
        self.metadata_token = secrets.token_hex(16)
        self.checks = True
        self.has_role = True
        self.is_allowed = True
        self.failures = 0  # so many requests to EC2 are answered with 503 first
        self.overrides = {}  # of what the metadata say
        self.asked = []  # actions, and why each was refused ("": done)
        self.metadata_asked = []
        handler = type("Handler", (_Handler,), {"cloud": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def environ(self):
        """What leads our code to it; Amazon's own tools read the same."""
        return {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.url}/",
            "AWS_ENDPOINT_URL_EC2": self.url,
        }

    @property
    def secrets(self):
        return (self.secret, self.session, self.metadata_token)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def metadata(self):
        lent = {
            "Code": "Success",
            "AccessKeyId": KEY_ID,
            "SecretAccessKey": self.secret,
            "Token": self.session,
            "Expiration": (datetime.now(UTC) + timedelta(hours=6)).isoformat(),
        }
        role = "meta-data/iam/security-credentials/"
        found = {
            "meta-data/mac": MAC,
            f"meta-data/network/interfaces/macs/{MAC}/interface-id": INTERFACE,
            "meta-data/placement/region": REGION,
        }
        if self.has_role:
            found |= {role: ROLE, role + ROLE: json.dumps(lent)}
        return {**found, **self.overrides}

    def refusal(self, headers, body):
        """HTTP's status and Amazon's code for a request; (200, "") where it is good."""
        if self.failures:
            self.failures -= 1
            return 503, "RequestLimitExceeded"
        wrong = _signature_fault(self, headers, body)
        if wrong:
            return 401, wrong
        return (200, "") if self.is_allowed else (403, "UnauthorizedOperation")


def _signature_fault(cloud, headers, body):
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    key_id, _, scope = parts.get("Credential", "").partition("/")
    moment = headers.get("x-amz-date", "")
    if scheme != "AWS4-HMAC-SHA256" or key_id != KEY_ID:
        return "AuthFailure"
    if headers.get("x-amz-security-token") != cloud.session:
        return "InvalidClientTokenId"
    age = datetime.now(UTC) - datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(age) > timedelta(minutes=5):
        return "RequestExpired"
    if scope != f"{moment[:8]}/{REGION}/ec2/aws4_request":
        return "SignatureDoesNotMatch"
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
        return "SignatureDoesNotMatch"
    lines = [f"{name}:{headers[name].strip()}" for name in names]
    digest = hashlib.sha256(body).hexdigest()
    request = "\n".join(["POST", "/", "", *lines, "", ";".join(names), digest])
    told = ["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()]
    key = b"AWS4" + cloud.secret.encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    signature = hmac.digest(key, "\n".join(told).encode(), "sha256").hex()
    return "" if hmac.compare_digest(signature, parts["Signature"]) else "SignatureDoesNotMatch"


class _Handler(BaseHTTPRequestHandler):
    cloud: Amazon

    def log_message(self, *_):
        """Nothing: pytest shows what matters."""

    def do_PUT(self):
        seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path == "/latest/api/token" and seconds.isdigit() and 0 < int(seconds) <= 21600:
            self._answer(200, self.cloud.metadata_token)
        else:
            self._answer(400, "")

    def do_GET(self):
        self.cloud.metadata_asked.append(self.path)
        if self.headers.get("X-aws-ec2-metadata-token") != self.cloud.metadata_token:
            self._answer(401, "")
            return
        found = self.cloud.metadata().get(self.path.removeprefix("/latest/"))
        self._answer(404 if found is None else 200, found or "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        status, code = self.cloud.refusal(headers, body)
        if status == 200:
            status, code = self._act(form, headers.get("content-type", ""))
        self.cloud.asked.append((form.get("Action"), code))
        if code:
            message = "Encoded authorization failure message: hUgeBlob" if status == 403 else "no"
            self._answer(
                status,
                f"<Response><Errors><Error><Code>{code}</Code><Message>You may not. {message}"
                "</Message></Error></Errors></Response>",
            )
        else:
            self._answer(200, "<ModifyNetworkInterfaceAttributeResponse/>")

    def _act(self, form, kind):
        good = form.get("Action") == "ModifyNetworkInterfaceAttribute" and kind.startswith(_FORM)
        if not good or form.get("NetworkInterfaceId") != INTERFACE or "Version" not in form:
            return 400, "InvalidParameterValue"
        self.cloud.checks = {"true": True, "false": False}[form["SourceDestCheck.Value"]]
        return 200, ""

    def _answer(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
