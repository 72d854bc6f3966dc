"""What a folder of manifests may hold beside policy, and what may not pass for it."""

import pytest

from tortie.trace.foreign import is_foreign

FOREIGN = """
v1/ConfigMap v1/Secret v1/Endpoints v1/PersistentVolumeClaim v1/ResourceQuota v1/LimitRange
v1/Event v1/PodTemplate v1/Binding v1/ComponentStatus v1/PersistentVolume
apps/v1/ControllerRevision autoscaling/v2/HorizontalPodAutoscaler
networking.k8s.io/v1/Ingress networking.k8s.io/v1/IngressClass networking.k8s.io/v1/IPAddress
networking.k8s.io/v1/ServiceCIDR
rbac.authorization.k8s.io/v1/Role rbac.authorization.k8s.io/v1/RoleBinding
rbac.authorization.k8s.io/v1/ClusterRole policy/v1/PodDisruptionBudget
monitoring.coreos.com/v1/ServiceMonitor monitoring.coreos.com/v1/PodMonitor
cert-manager.io/v1/Issuer networking.istio.io/v1/ServiceEntry gateway.networking.k8s.io/v1/Gateway
security.istio.io/v1/AuthorizationPolicy cilium.io/v2/CiliumNetworkPolicy
serving.knative.dev/v1/Service kubeflow.org/v1/Profile karpenter.sh/v1/NodePool
kustomize.config.k8s.io/v1beta1/Kustomization apiextensions.k8s.io/v1/CustomResourceDefinition
argoproj.io/v1alpha1/Application linkerd.io/v1alpha2/ServiceProfile
operator.tigera.io/v1/Installation
"""
MISTAKES = """
networking.k8s.io/v1/NetworkPolcy networking.k8s.io/v1beta1/NetworkPolicy
extensions/v1beta1/NetworkPolicy netwroking.k8s.io/v1/NetworkPolicy v1/NetworkPolicy
projectcalico.org/v1/GlobalNetworkPolicy projectcalico.or/v3/Tierr projectcalico.org/v3/Secret
crd.projectcalico.org/v2/NetworkPolicy policy.networking.k8s.io/v2/AdminNetworkPolicy
v1/Namspace v1/Pods v1/ServiceAcount v1/List apps/v1/Deploymnt batch/v1/Cronjob
policy.netwroking.k8s.io/v1alpha1/AdminNetworkPolicy v1/NetworkPolicyList
"""
OURS = "v1/Pod projectcalico.org/v3/Tier networking.k8s.io/v1/NetworkPolicy"


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        *((name, True) for name in FOREIGN.split()),
        *((name, False) for name in MISTAKES.split()),
        *((name, False) for name in OURS.split()),
    ],
)
def test_other_kinds_are_passed_over_and_misspelt_ones_are_not(name: str, foreign: bool) -> None:
    version, _, kind = name.rpartition("/")
    assert is_foreign(version, kind) is foreign
