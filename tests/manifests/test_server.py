"""The API server that other tests trust."""

import pytest

from servers.kube_api import Refused


def test_it_knows_who_asks_and_refuses_strangers(kube):
    with kube.api_as() as nobody:
        assert nobody.answer("GET", "/api/v1/pods")[0] == 401
    with kube.api_as(token=kube.token("shop", "web")) as web:
        status, found = web.answer("GET", "/api/v1/pods")
    assert status == 403
    assert 'User "system:serviceaccount:shop:web" cannot list' in found["message"]


def test_expired_tokens_are_refused(kube):
    with kube.api_as(token=kube.token("shop", "web", -1)) as expired:
        assert expired.answer("GET", "/api/v1/pods")[0] == 401


def test_a_wipe_leaves_what_a_new_server_has(kube):
    before = kube.registry.keys()
    kube.namespace("shop")
    kube.api.create(
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "NetworkSet",
            "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"nets": ["10.0.0.0/8"]},
        }
    )
    assert kube.registry.keys() != before
    kube.wipe()
    assert kube.registry.keys() == before
    cached = kube.api.get("/apis/projectcalico.org/v3/networksets?resourceVersion=0")
    assert cached["items"] == []


def test_history_is_forgotten_on_demand(kube):
    for name in "abc":
        kube.namespace(name)
    page = kube.api.get("/api/v1/namespaces?limit=1")
    kube.namespace("d")
    kube.compact()
    with pytest.raises(Refused) as gone:
        kube.api.get(f"/api/v1/namespaces?limit=1&continue={page['metadata']['continue']}")
    assert gone.value.status == 410


def test_it_can_be_killed_paused_and_made_to_forget(fresh_kube):
    fresh_kube.namespace("kept")
    before = fresh_kube.registry.revision()
    fresh_kube.namespace("later")
    with fresh_kube.paused():
        assert not fresh_kube.api.ready()
    assert fresh_kube.api.get("/api/v1/namespaces/kept")
    fresh_kube.kill()
    assert not fresh_kube.api.ready()
    fresh_kube.restart()
    fresh_kube.compact()
    assert fresh_kube.api.get("/api/v1/namespaces/kept")
    path = f"/api/v1/namespaces?watch=1&timeoutSeconds=1&resourceVersion={before}"
    _, answer = fresh_kube.api.answer("GET", path)
    assert answer.get("object", answer)["code"] == 410
