"""Each component works with exactly the rights that its manifest gives, and needs every one."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from manifests import flows, flows_node
from servers.kube_audit import Right, audited_server
from servers.kube_crds import install
from tortie.api import KINDS
from tortie.api.crds import CUSTOM_KINDS, GROUPS, definitions
from tortie.datastore import Forbidden, open_datastore
from tortie.install.rights import NODE, NODE_OF_POLICY_ONLY, NODE_WITHOUT_BGP

MANIFESTS = Path(__file__).parents[2] / "manifests"
RIGHTS = (
    "calico-node.yaml",
    "calico-cni-plugin.yaml",
    "calico-kube-controllers.yaml",
    "calico-typha.yaml",
    "users.yaml",
)
WATCHES_SECONDS = 30.0
COMPONENTS = {
    "calico-node": flows.agent,
    "calico-cni-plugin": flows.plugin,
    "calico-kube-controllers": flows.controllers,
    "calico-typha": flows.fanout,
    "calico-viewer": flows.viewer,
    "calico-admin": flows.operator,
}


@pytest.fixture(scope="module")
def audited(needs_kube):  # noqa: ARG001 - asked for to skip
    with audited_server() as (server, audit):
        install(server.api)
        yield server, audit


def documents(group):
    """Everything in the manifests that say who may do what."""
    texts = [(MANIFESTS / group / name).read_text() for name in RIGHTS]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def granted(group, role):
    """The rights of a role, one by one."""
    (found,) = [
        each
        for each in documents(group)
        if each["kind"] == "ClusterRole" and each["metadata"]["name"] == role
    ]
    return {
        Right(api_group, resource, verb, name)
        for rule in found["rules"]
        for api_group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def used(audit, user, rights):
    """Which of the rights a user's requests needed; one that none gives stands for itself."""
    found = set()
    for asked, status in audit.of(user):
        if asked.verb == "patch" and status == 201:  # applied, and nothing was there
            found.add(asked._replace(verb="create", name=""))
        of_any = asked._replace(name="")
        found.add(of_any if of_any in rights else asked)
    return found


def allowed(server, user, right):
    """Whether the server lets `user` do so."""
    group, resource, verb, name = right
    main, _, part = resource.partition("/")
    attributes = {"group": group, "resource": main, "subresource": part, "verb": verb, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return server.api.request("POST", path, review)["status"]["allowed"]


def bound(server, group, role):
    """The name of an account that has this role and no other; the role is in force."""
    account = f"{role}-{GROUPS[group]}-only"
    server.account("kube-system", account)
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": account},
        "roleRef": reference,
        "subjects": [subject],
    }
    server.api.apply([*documents(group), binding])
    user = f"system:serviceaccount:kube-system:{account}"
    deadline = time.monotonic() + WATCHES_SECONDS
    while not all(allowed(server, user, right) for right in granted(group, role)):
        assert time.monotonic() < deadline, "the role does not come into force"
    return account, user


def write_everything(server, account, group):
    """What kubectl and `tortie` send to change objects; that there are none does not matter."""
    with server.api_as(token=server.token("kube-system", account)) as person:
        for each in definitions(group, CUSTOM_KINDS):
            spec = each["spec"]
            within = "/namespaces/shop" if spec["scope"] == "Namespaced" else ""
            version = spec["versions"][0]
            path = f"/apis/{group}/{version['name']}{within}/{spec['names']['plural']}"
            one = f"{path}/none"
            body = {
                "apiVersion": f"{group}/{version['name']}",
                "kind": spec["names"]["kind"],
                "metadata": {"name": "none"},
            }
            person.answer("POST", f"{path}?dryRun=All", body)
            person.answer("PUT", one, body)
            person.answer("PATCH", one, {}, content="application/merge-patch+json")
            person.answer("DELETE", one)
            if "status" in version.get("subresources", {}):
                person.answer("PUT", f"{one}/status", body)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("role", COMPONENTS)
def test_a_component_needs_every_right_that_it_has_and_no_other(audited, role, group):
    server, audit = audited
    server.wipe()
    server.namespace("shop")
    server.account("kube-system", flows_node.ACCOUNT)
    server.api.apply(flows.scene())
    api_group = f"{group}/{GROUPS[group]}"
    account, user = bound(server, group, role)
    rights = granted(group, role)
    if role == "calico-admin":
        write_everything(server, account, group)
    reading = {right for right in rights if right.verb in ("get", "list", "watch")}

    async def run():
        admin = await open_datastore(server.client(api_group))
        store = await open_datastore(server.client_of("kube-system", account, api_group))
        try:
            async with asyncio.timeout(WATCHES_SECONDS):
                done = lambda: reading <= used(audit, user, rights)  # noqa: E731 - asked again
                await COMPONENTS[role](admin, store, done)
        finally:
            await store.close()
            await admin.close()

    with suppress(TimeoutError):  # the comparison below says what was never asked for
        asyncio.run(run())
    refused = {asked.right for asked in audit.of(user) if asked.status == 403}
    assert refused == set()
    assert used(audit, user, rights) == rights


def test_without_a_right_the_agent_says_which_one_it_lacks(audited):
    server, _ = audited
    server.wipe()
    settings = server.client_of("kube-system", "stranger", "crd.projectcalico.org/v1")

    async def run():
        store = await open_datastore(settings)
        try:
            await store.list("Tier")
        finally:
            await store.close()

    with pytest.raises(Forbidden) as refused:
        asyncio.run(run())
    assert "tiers" in str(refused.value)
    assert "system:serviceaccount:kube-system:stranger" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("group", GROUPS)
def test_no_role_has_a_wildcard_or_reads_secrets(group):
    for each in documents(group):
        for rule in each.get("rules", ()):
            assert "*" not in str(rule)
            assert "secrets" not in rule["resources"]


@pytest.mark.parametrize("group", GROUPS)
def test_every_role_that_is_bound_is_bound_to_an_account_that_is_there(group):
    found = documents(group)
    accounts = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in found
        if each["kind"] == "ServiceAccount"
    }
    roles = {each["metadata"]["name"] for each in found if each["kind"] == "ClusterRole"}
    for each in found:
        if each["kind"] == "ClusterRoleBinding":
            assert each["roleRef"]["name"] in roles
            assert {(who["namespace"], who["name"]) for who in each["subjects"]} <= accounts


def test_people_may_see_every_kind():
    (found,) = {frozenset(granted(group, "calico-viewer")) for group in ("projectcalico.org",)}
    plurals = {KINDS[kind].plural for kind in CUSTOM_KINDS}
    assert plurals <= {right.resource for right in found}


@pytest.mark.parametrize("role", [NODE_WITHOUT_BGP, NODE_OF_POLICY_ONLY], ids=["-bgp", "policy"])
def test_a_node_that_does_less_has_fewer_rights_and_no_other(role):
    def rights(one):
        return {
            (rule.group, thing, verb, rule.names)
            for rule in one.rules
            for thing in (*rule.kinds, *rule.resources)
            for verb in rule.verbs
        }

    assert rights(role) < rights(NODE)
