"""Admin policies on the command line."""

import pytest

ADMIN = """
apiVersion: policy.networking.k8s.io/v1alpha1
kind: {kind}
metadata: {{name: default}}
spec: {{{place} subject: {{namespaces: {{}}}}}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: default}}
spec: {{tier: Admin, priority: 3, subject: {{namespaces: {{}}}}}}
"""


@pytest.mark.parametrize(
    ("word", "kind", "place"),
    [
        ("anp", "AdminNetworkPolicy", "priority: 7,"),
        ("banp", "BaselineAdminNetworkPolicy", ""),
    ],
)
def test_admin_policies_are_applied_shown_and_deleted(tortie, write, word, kind, place):
    file = write("admin.yaml", ADMIN.format(kind=kind, place=place))
    said = tortie("apply", "-f", file)
    assert (said.status, said.out.count(": created\n")) == (0, 2)
    assert tortie("apply", "-f", file).out.count(": unchanged\n") == 2
    assert "default" in tortie("get", word).out
    table = tortie("get", "clusternetworkpolicy").out
    assert "PRIORITY" in table
    assert "Admin" in table
    assert f"kind: {kind}" in tortie("get", word, "default", "-o", "yaml").out
    assert tortie("delete", "-f", file).status == 0
    assert tortie("get", word, "default").status == 1
