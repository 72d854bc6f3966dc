"""What is taken out of what people hand on, and what stays."""

import base64
import json

import pytest
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
    ],
)
def test_secrets_go_wherever_they_stand(text: str, secret: str):
    for around in ("{}", "before\n{}\nafter", "  {}  "):
        found = redact(around.format(text))
        assert secret not in found
        assert "redacted" in found
        assert ("after" in found) == ("after" in around)


def test_a_key_that_was_cut_off_takes_the_rest_with_it():
    assert "MHcCA" not in redact(f"before\n{PEM[:40]}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        "password:\n  secretKeyRef:\n    name: bgp-secrets\n    key: peer-1",
        "secretName: calico-etcd-secrets",
        "tokenFile: /var/run/token",
        '{"secretName": "typha-certs", "key": "tls.key"}',
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
