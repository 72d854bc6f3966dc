"""What is taken out of what people hand on, and what stays."""

import base64
import json
import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tortie.diagnostics.redact import GONE, redact

SECRET = "hunter2-Zq8xTr"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2RlIn0.c2lnbmF0dXJl_-x"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\nabcdef==\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (PEM, "MHcCAQEEIB"),
        (f"token: {JWT}", JWT),
        (f"found {JWT} in it", JWT),
        (f"Authorization: Bearer {SECRET}", SECRET),
        (f"https://root:{SECRET}@10.0.0.1:2379", SECRET),
        (f'  password "{SECRET}";', SECRET),
        (f'  password "with \\" quote {SECRET}";', SECRET),
        (f"ETCD_PASSWORD={SECRET}", SECRET),
        (f"ETCD_PASSWORD={SECRET} next=1", SECRET),
        (f"password: {SECRET}", SECRET),
        (f"  etcdPassword: '{SECRET} two'", SECRET),
        (f'{{"password": "{SECRET}"}}', SECRET),
        (f'{{"etcd_password":"a\\"{SECRET}"}}', SECRET),
        (f"    client-key-data: {base64.b64encode(SECRET.encode()).decode()}", "aHVudGVyMi"),
        (f"  private key: {SECRET}=", SECRET),
        (f"PrivateKey = {SECRET}", SECRET),
        (f"AWS_SECRET_ACCESS_KEY={SECRET}", SECRET),
        (f"passwd={SECRET},user=x", SECRET),
        (f"note: 'password: {SECRET}'", SECRET),
        (f"{{'password': '{SECRET}'}}", SECRET),
        (f'{{"name":"ETCD_PASSWORD","value":"a\\"{SECRET}"}}', SECRET),
        (f'"name": "ETCD_PASSWORD",\n  "value": "{SECRET}"', SECRET),
        (f"- name: ETCD_PASSWORD\n  value: a {SECRET}", SECRET),
        (f'- name: "ETCD_PASSWORD"\n  value: "{SECRET}"', SECRET),
        (json.dumps(json.dumps([{"name": "ETCD_PASSWORD", "value": f'"\\{SECRET}'}])), SECRET),
        (json.dumps(json.dumps({"etcdPassword": f'\\"{SECRET}'})), SECRET),
        (f'"client-key-data": "{base64.b64encode(SECRET.encode()).decode()}"', "aHVudGVyMi"),
        (f"key: {base64.b64encode(PEM.encode()).decode()}", "TUhjQ0FRRUVJQg"),
        (f"password: two {SECRET}", SECRET),
        (f"password: [{SECRET}]", SECRET),
        (f"ETCD_PASSWORD=a,{SECRET}", SECRET),
        (f"tortie agent --etcd-password {SECRET} --node a", SECRET),
        (f"PresharedKey = {SECRET}", SECRET),
        (f"tokens: [first, {SECRET}]", SECRET),
        (f"tokens: [first,\n  {SECRET},\n]", SECRET),
        (f"{{id: 1, tokens: [first, '{SECRET}'], next: 2}}", SECRET),
        (f'{{"tokens": ["first", "a\\"{SECRET}"], "next": [1]}}', SECRET),
        (f'{{"tokens": [\n  "first",\n  "{SECRET}"\n]}}', SECRET),
        (f'{{"tokens": [["{SECRET}"]]}}', SECRET),
        (f'{{"tokens": [{{"name": "mine"}}, "{SECRET}"]}}', SECRET),
        (json.dumps(json.dumps({"apiTokens": ["first", f'\\"{SECRET}']})), SECRET),
        (f"tokens: [first, {SECRET}", SECRET),
        (f"tokens:\n- first\n- {SECRET}", SECRET),
        (f"  tokens:\n    - first\n    - '{SECRET}'\n  other: 1", SECRET),
        (f"- tokens:\n  - |\n    a\n    {SECRET}\n  - b", SECRET),
        (f"passwords:\n- name: mine\n  value: x\n- {SECRET}", SECRET),
        (f"using passwords=first,{SECRET}", SECRET),
        (f"Cookie: session=first; sid={SECRET}", SECRET),
        (f"> Set-Cookie: sid={SECRET}; Path=/; HttpOnly", SECRET),
        (f'Cookie: session="{SECRET}"; a=b', SECRET),
        (f"curl -H 'Cookie: a=b; sid={SECRET}' http://x", SECRET),
        (f"curl --cookie sid={SECRET} http://x", SECRET),
        (f'{{"Cookie": ["a=b", "sid={SECRET}"]}}', SECRET),
        (f'{{"cookies": {{"session_token": "{SECRET}"}}}}', SECRET),
        (f"map[Accept:[*/*] Cookie:[a=b; sid={SECRET}]]", SECRET),
        (f"Proxy-Authorization: Digest {SECRET}", SECRET),
        (f'"Authorization": ["Token {SECRET}"]', SECRET),
    ],
)
def test_secrets_go_wherever_they_stand(text: str, secret: str):
    for around in ("{}", "before\n{}\nafter", "  {}  "):
        found = redact(around.format(text))
        assert secret not in found
        assert "redacted" in found
        assert ("after" in found) == ("after" in around)


def test_a_secret_of_several_lines_goes_whole():
    text = f"a: 1\n  password: |-\n    first\n    {SECRET}\n  b: 2"
    assert redact(text) == f"a: 1\n  password: |-\n    {GONE}\n  b: 2"


def test_no_text_takes_for_ever():
    """Each of these took minutes, or hours, where patterns gave back what they had found."""
    for text in ("secret-" * 40_000, "a-" * 100_000, "\n" * 200_000):
        assert redact(text) == text
    for text in (
        "tokens: [a " * 30_000,
        "tokens:\n- a\n" * 20_000,
        "[{" * 50_000,
        "Cookie: a" * 20_000,
    ):
        assert len(redact(text)) < 2 * len(text) + 20


def test_a_key_that_was_cut_off_takes_the_rest_with_it():
    assert "MHcCA" not in redact(f"before\n{PEM[:40]}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        "password:\n  secretKeyRef:\n    name: bgp-secrets\n    key: peer-1",
        "secretName: calico-etcd-secrets",
        "tokenFile: /var/run/token",
        '{"secretName": "typha-certs", "key": "tls.key"}',
        '{"name": "ETCD_PASSWORD_FILE", "value": "/etc/etcd/password"}',
        "- name: CNI_TOKEN_REFRESH_INTERVAL\n  value: 3600",
        '{"name": "web", "value": "1"}',
        "name: calico-etcd-secrets\nkind: Secret",
        "CNI_TOKEN_REFRESH_INTERVAL=3600",
        "public key: abcdefgh=",
        "publicKey: abcdefgh=",
        "wireguardPublicKey: abcdefgh=",
        "https://10.0.0.1:2379",
        "https://[fd00::1]:2379/path",
        "tcp dport 22 accept",
        "10.65.0.0/26 via 172.16.1.2 dev eth0 proto 80",
        "the password of the peer is wrong",
        "selector: token == 'a'",
        "imagePullSecrets:\n- name: registry\n- name: other",
        "secrets:\n  - name: node-token-x\n    kind: Secret\n  next: 1",
        '{"imagePullSecrets": [{"name": "registry"}]}',
        '{"secretNames": ["a", "b"]}',
        "tokenFiles:\n- /run/a\n- /run/b",
        'resources: ["secrets", "tokens"]',
        "authorization:\n  mode: Webhook",
        "tokens: []",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str):
    assert redact(text) == text


@given(st.text(max_size=300))
def test_any_text_passes_and_a_second_time_changes_nothing(text: str):
    once = redact(text)
    assert redact(once) == once


@given(st.lists(st.sampled_from([PEM, f"password: {SECRET}", JWT, "x", "\n", " ", ";", '"', ":"])))
def test_no_neighbourhood_saves_a_secret(parts: list[str]):
    found = redact("\n".join(parts))
    assert not any(secret in found for secret in ("MHcCAQEEIB", SECRET, JWT))


@given(st.dictionaries(st.sampled_from(["password", "token", "name"]), st.text(min_size=1)))
def test_json_stays_json(values: dict[str, str]):
    found = json.loads(redact(json.dumps(values)))
    assert found.keys() == values.keys()
    assert all(found[name] == GONE for name in values if name != "name")


@given(st.text(), st.sampled_from(["ETCD_PASSWORD", "token"]))
def test_json_within_json_stays_so(value: str, name: str):
    inner = json.dumps({"env": [{"name": name, "value": value}], name: value, "other": value})
    found = json.loads(json.loads(redact(json.dumps(inner))))
    assert found["env"][0] == {"name": name, "value": GONE}
    assert found[name] == GONE


SECRETS = st.text(string.ascii_letters + string.digits, min_size=8, max_size=20).map("Zq8x".__add__)
NAMES = st.sampled_from(["tokens", "etcd_passwords", "cookies", "api-keys", "clientSecrets"])


@given(NAMES, st.lists(SECRETS, min_size=1, max_size=4), st.sampled_from([None, 2]))
def test_no_list_of_secrets_is_handed_on_as_json(name: str, secrets: list[str], indent: int | None):
    """And what is around it stays; also within a string of JSON."""
    around = {"before": ["kept"], "deeper": [{name: secrets, "id": 7}], "after": "kept"}
    wanted = {**around, "deeper": [{name: [GONE] * len(secrets), "id": 7}]}
    plain = json.dumps(around, indent=indent)
    assert json.loads(redact(plain)) == wanted
    assert json.loads(json.loads(redact(json.dumps(plain)))) == wanted


@given(NAMES, st.lists(SECRETS, min_size=1, max_size=4), st.sampled_from([True, False, None]))
def test_no_list_of_secrets_is_handed_on_as_yaml(name: str, secrets: list[str], flow: bool | None):
    around = {"before": ["kept"], "deeper": [{"id": 7, name: secrets}], "later": "kept"}
    found = redact(yaml.safe_dump(around, default_flow_style=flow, width=40))
    assert not any(secret in found for secret in secrets)
    assert found.count("kept") == 2


@given(st.lists(SECRETS, min_size=1, max_size=4), st.sampled_from(["; ", ", ", ";"]), st.booleans())
def test_no_cookie_is_handed_on(secrets: list[str], between: str, quoted: bool):
    """However many there are in a line."""
    values = (f'"{secret}"' if quoted else secret for secret in secrets)
    line = between.join(f"c{number}={value}" for number, value in enumerate(values))
    for header in ("Cookie", "set-cookie", "< Set-Cookie"):
        found = redact(f"before\n{header}: {line}\nafter")
        assert not any(secret in found for secret in secrets)
        assert found.startswith("before\n")
        assert found.endswith("\nafter")
