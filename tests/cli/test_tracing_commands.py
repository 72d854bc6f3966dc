"""`trace`, `verify` and `diff --reach`: exit statuses, files, datastores, output."""

import json

from strategies.command_line import Tortie, Write

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: laptop, namespace: guest}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {a: b}
"""
SHUT = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}
"""
RUNNING = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.65.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c}]}
status: {podIP: 10.65.1.1}
"""
ASK = ("--from", "guest/laptop", "--to", "shop/web", "--port")


def test_a_folder_of_manifests_is_a_cluster(tortie: Tortie, write: Write) -> None:
    write("repo/app.yaml", APP)
    write("repo/policy.yaml", SHUT)
    allowed = tortie("trace", "-f", "repo", *ASK, "8080/tcp")
    assert (allowed.status, allowed.err) == (0, "")
    assert allowed.out.startswith("guest/laptop (198.18.0.")
    denied = tortie("trace", "-f", "repo", *ASK, "8081/tcp")
    assert denied.status == 2
    assert "default action Deny" in denied.out
    assert max(map(len, denied.out.splitlines())) <= 80


def test_a_datastore_is_asked_where_there_are_no_files(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("run.yaml", RUNNING))
    ask = ("trace", "--from", "shop/db", "--to", "10.65.0.1", "--port", "81")
    assert tortie(*ask).status == 0
    tortie("apply", "-f", write("policy.yaml", SHUT))
    answer = tortie(*ask, "-o", "json")
    assert answer.status == 2
    data = json.loads(answer.out)
    assert (data["from"], data["to"], data["allowed"]) == (
        "shop/db (10.65.1.1)",
        "shop/web (10.65.0.1)",
        False,
    )


def test_mistakes_are_one_line_and_status_1(tortie: Tortie, write: Write) -> None:
    write("app.yaml", APP)
    for words, message in [
        (("--from", "guest/lptop", "--to", "shop/web", "--port", "80"), "did you mean"),
        (("--from", "guest/laptop", "--to", "shop/web", "--port", "http"), "is no port"),
    ]:
        said = tortie("trace", "-f", "app.yaml", *words)
        assert (said.status, said.out) == (1, "")
        assert message in said.err
        assert said.err.count("\n") == 1
    write("bad.yaml", SHUT.replace("NetworkPolicy", "NetworkPolcy"))
    said = tortie("trace", "-f", "app.yaml", "-f", "bad.yaml", *ASK, "80")
    assert said.status == 1
    assert "NetworkPolcy" in said.err


MIXED = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: password, namespace: shop}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop}
  spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: web, namespace: shop}
  spec: {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: laptop, namespace: guest}
  spec: {containers: [{name: c}]}
---
resources: [app.yaml]
"""


def test_policies_count_wherever_they_stand_beside_other_things(
    tortie: Tortie, write: Write
) -> None:
    write("repo/all.yaml", MIXED)
    assert tortie("trace", "-f", "repo", *ASK, "8080").status == 0
    denied = tortie("trace", "-f", "repo", *ASK, "8081")
    assert denied.status == 2
    assert denied.err == "tortie: repo/all.yaml: document 2 is no manifest: it is passed over\n"
    write("repo/all.yaml", MIXED.replace("kind: NetworkPolicy", "kind: NetworkPolcy"))
    said = tortie("trace", "-f", "repo", *ASK, "8080")
    assert (said.status, said.out) == (1, "")
    assert "items[2].kind: unknown kind 'NetworkPolcy'" in said.err


def test_workloads_of_one_name_are_told_apart(tortie: Tortie, write: Write) -> None:
    job = APP.split("---")[0].replace("apps/v1", "batch/v1").replace("Deployment", "Job")
    write("repo/app.yaml", APP)
    write("repo/job.yaml", job.replace("app: web", "app: job"))
    write(
        "repo/policy.yaml",
        SHUT.replace("podSelector: {}", "podSelector: {matchLabels: {app: job}}"),
    )
    answer = tortie("trace", "-f", "repo", *ASK, "81")
    assert answer.status == 0
    assert "its pod is shop/web-job here" in answer.err
    ask = [word.replace("shop/web", "shop/web-job") for word in ASK]
    assert tortie("trace", "-f", "repo", *ask, "81").status == 2
    write("repo/again.yaml", job)
    twice = tortie("trace", "-f", "repo", *ASK, "81")
    assert (twice.status, "Job shop/web is there twice" in twice.err) == (1, True)


def test_assertions_hold_or_name_what_breaks_them(tortie: Tortie, write: Write) -> None:
    write("app.yaml", APP)
    write("policy.yaml", SHUT)
    write("good.yaml", "denied: [{from: guest/*, to: shop/web, ports: [22]}]")
    write("bad.yaml", "denied: [{name: no guests, from: guest/*, to: shop/web}]")
    cluster = ("-m", "app.yaml", "-m", "policy.yaml")
    good = tortie("verify", "-f", "good.yaml", *cluster)
    assert (good.status, good.err) == (0, "")
    assert good.out.endswith("1 of 1 assertions hold\n")
    bad = tortie("verify", "-f", "good.yaml", "-f", "bad.yaml", *cluster)
    assert bad.status == 2
    assert "broken  denied: no guests" in bad.out
    assert "KubernetesNetworkPolicy(shop/web) ingress[0] allows it" in bad.out
    told = json.loads(tortie("verify", "-f", "bad.yaml", *cluster, "-o", "json").out)
    assert (told[0]["holds"], told[0]["broken"][0]["port"]) == (False, "8080/tcp")
    assert tortie("verify", "-f", "policy.yaml", *cluster).status == 1


def test_reach_that_files_would_change_is_told_by_pair(tortie: Tortie, write: Write) -> None:
    tortie("apply", "-f", write("run.yaml", RUNNING))
    write("policy.yaml", SHUT)
    said = tortie("diff", "--reach", "-f", "policy.yaml")
    assert said.status == 1
    assert "shop/db -> shop/web\n  - icmp, 1-8079,8081-65535/tcp, udp\n" in said.out
    assert "0 pairs would gain reach, 4 pairs would lose some" in said.out
    tortie("apply", "-f", "policy.yaml")
    again = tortie("diff", "--reach", "-f", "policy.yaml", "-o", "json")
    assert (again.status, json.loads(again.out)) == (0, [])


def test_reach_is_compared_between_folders_without_a_datastore(
    tortie: Tortie, write: Write
) -> None:
    write("app.yaml", APP)
    write("policy.yaml", SHUT)
    said = tortie("diff", "--reach", "-f", "policy.yaml", "--base", "app.yaml", "-o", "json")
    assert said.status == 1
    pairs = {(each["from"], each["to"]) for each in json.loads(said.out)}
    assert pairs == {("guest/laptop", "shop/web"), ("outside", "shop/web")}
    assert tortie("diff", "-f", "policy.yaml", "--base", "app.yaml").status == 2
