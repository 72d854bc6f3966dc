"""For each CEL rule of the API: an object that keeps it and one that only breaks it.

By the rule's message; each pair is two specs, or for rules about more than the spec two manifests'
(name, spec). They stand for every kind that has the rule.
"""


def ingress(**rule):
    return {"ingress": [{"action": "Allow", **rule}]}


def egress(**rule):
    return {"egress": [{"action": "Allow", **rule}]}


SERVICE = {"name": "s", "namespace": "n"}
POOL = {"cidr": "10.0.0.0/16"}
LB = ["LoadBalancer"]
GLOBAL = "global()"
SELECTORS = "global() can only be used in an EntityRule namespaceSelector"

RULES = {
    "rules with HTTP match must have protocol TCP or unset": (
        ingress(http={"methods": ["GET"]}, protocol="TCP"),
        ingress(http={"methods": ["GET"]}, protocol="UDP"),
    ),
    "HTTP match is only valid on Allow rules": (
        ingress(http={"paths": [{"exact": "/a"}]}),
        ingress(http={"paths": [{"exact": "/a"}]}, action="Deny"),
    ),
    "ports and notPorts cannot be specified with services": (
        egress(destination={"services": SERVICE}, protocol="TCP"),
        egress(destination={"services": SERVICE, "ports": [80]}, protocol="TCP"),
    ),
    "ICMP fields require protocol to be ICMP or ICMPv6": (
        ingress(icmp={"type": 8}, protocol="ICMP"),
        ingress(icmp={"type": 8}, protocol="TCP"),
    ),
    "protocol ICMP requires ipVersion 4": (
        ingress(protocol="ICMP", ipVersion=4),
        ingress(protocol="ICMP", ipVersion=6),
    ),
    "protocol ICMPv6 requires ipVersion 6": (
        ingress(notProtocol=58, ipVersion=6),
        ingress(notProtocol=58, ipVersion=4),
    ),
    SELECTORS: (
        ingress(source={"namespaceSelector": GLOBAL}),
        ingress(source={"selector": GLOBAL}),
    ),
    "cannot specify NamespaceSelector and Services on the same rule": (
        egress(destination={"services": SERVICE}),
        egress(destination={"services": SERVICE, "namespaceSelector": "all()"}),
    ),
    "cannot specify ServiceAccounts and Services on the same rule": (
        egress(destination={"services": SERVICE}),
        egress(destination={"services": SERVICE, "serviceAccounts": {"names": ["a"]}}),
    ),
    "services must specify a service name": (
        egress(destination={"services": SERVICE}),
        egress(destination={"services": {"namespace": "n"}}),
    ),
    "cannot specify Selector/NotSelector and Services on the same rule": (
        egress(destination={"services": SERVICE}),
        egress(destination={"services": SERVICE, "notSelector": "a == 'b'"}),
    ),
    "cannot specify Nets/NotNets and Services on the same rule": (
        egress(destination={"services": SERVICE}),
        egress(destination={"services": SERVICE, "nets": ["10.0.0.0/8"]}),
    ),
    "ICMP code specified without an ICMP type": (
        ingress(icmp={"type": 8, "code": 0}, protocol="ICMP"),
        ingress(notICMP={"code": 0}, protocol="ICMP"),
    ),
    "preDNAT and doNotTrack cannot both be true": (
        {"preDNAT": True, "applyOnForward": True},
        {"preDNAT": True, "doNotTrack": True, "applyOnForward": True},
    ),
    "preDNAT policy cannot have any egress rules": (
        {"preDNAT": True, "applyOnForward": True, "ingress": [{"action": "Deny"}]},
        {
            "preDNAT": True,
            "applyOnForward": True,
            "types": ["Ingress"],
            "egress": [{"action": "Deny"}],
        },
    ),
    "preDNAT policy cannot have 'Egress' type": (
        {"preDNAT": True, "applyOnForward": True, "types": ["Ingress"]},
        {"preDNAT": True, "applyOnForward": True, "types": ["Egress"]},
    ),
    "applyOnForward must be true if either preDNAT or doNotTrack is true": (
        {"doNotTrack": True, "applyOnForward": True},
        {"doNotTrack": True},
    ),
    "ipipMode and vxlanMode cannot both be enabled": (
        {**POOL, "ipipMode": "Always", "vxlanMode": "Never"},
        {**POOL, "ipipMode": "Always", "vxlanMode": "CrossSubnet"},
    ),
    "LoadBalancer IP pool cannot have IPIP or VXLAN enabled": (
        {**POOL, "allowedUses": LB},
        {**POOL, "allowedUses": LB, "vxlanMode": "Always"},
    ),
    "LoadBalancer cannot be combined with Workload or Tunnel allowed uses": (
        {**POOL, "allowedUses": ["Workload", "Tunnel"]},
        {**POOL, "allowedUses": ["LoadBalancer", "Workload"]},
    ),
    "IPIP is not supported on IPv6 pools": (
        {"cidr": "fd00::/64", "ipipMode": "Never"},
        {"cidr": "fd00::/64", "ipipMode": "Always"},
    ),
    "LoadBalancer IP pools cannot disable BGP export": (
        {**POOL, "disableBGPExport": True},
        {**POOL, "allowedUses": LB, "disableBGPExport": True},
    ),
    "IP Pool with AllowedUse LoadBalancer must have nodeSelector set to all()": (
        {**POOL, "allowedUses": LB, "nodeSelector": "all()"},
        {**POOL, "allowedUses": LB, "nodeSelector": "has(a)"},
    ),
    "IP Pool with AllowedUse Tunnel cannot have namespaceSelector": (
        {**POOL, "allowedUses": ["Workload"], "namespaceSelector": "has(a)"},
        {**POOL, "allowedUses": ["Tunnel"], "namespaceSelector": "has(a)"},
    ),
    "global() selector is not valid for IPPool nodeSelector": (
        {**POOL, "nodeSelector": "a == 'b'"},
        {**POOL, "nodeSelector": GLOBAL},
    ),
    "global() selector is not valid for IPPool namespaceSelector": (
        {**POOL, "namespaceSelector": "a == 'b'", "allowedUses": ["Workload"]},
        {**POOL, "namespaceSelector": GLOBAL, "allowedUses": ["Workload"]},
    ),
    "IPPool CIDR must be strictly masked": (POOL, {"cidr": "10.0.0.1/16"}),
    "IPPool CIDR overlaps with IPv4 link local range 169.254.0.0/16": (
        {"cidr": "169.253.0.0/16"},
        {"cidr": "169.254.128.0/20"},
    ),
    "IPPool CIDR overlaps with IPv6 link local range fe80::/10": (
        {"cidr": "fec0::/64"},
        {"cidr": "fe80::/64"},
    ),
    "blockSize must be between 20 and 32 for IPv4 pools, and between 116 and 128 for IPv6 pools": (
        {**POOL, "blockSize": 20},
        {**POOL, "blockSize": 33},
    ),
    "IP pool size is too small for use with Calico IPAM. "
    "It must be equal to or greater than the block size.": (
        {"cidr": "10.0.0.0/28", "blockSize": 28},
        {"cidr": "10.0.0.0/28"},
    ),
    "The 'kube-admin' tier must have default action 'Pass'": (
        ("kube-admin", {"order": 1000, "defaultAction": "Pass"}),
        ("kube-admin", {"order": 1000, "defaultAction": "Deny"}),
    ),
    "The 'kube-baseline' tier must have default action 'Pass'": (
        ("kube-baseline", {"order": 10000000, "defaultAction": "Pass"}),
        ("kube-baseline", {"order": 10000000}),
    ),
    "The 'default' tier must have default action 'Deny'": (
        ("default", {"order": 1000000}),
        ("default", {"order": 1000000, "defaultAction": "Pass"}),
    ),
    "default tier order must be 1000000": (
        ("default", {"order": 1000000}),
        ("default", {"order": 1}),
    ),
    "kube-admin tier order must be 1000": (
        ("kube-admin", {"order": 1000, "defaultAction": "Pass"}),
        ("kube-admin", {"defaultAction": "Pass"}),
    ),
    "kube-baseline tier order must be 10000000": (
        ("kube-baseline", {"order": 10000000, "defaultAction": "Pass"}),
        ("kube-baseline", {"order": 5, "defaultAction": "Pass"}),
    ),
    "nodeMeshPassword cannot be set when nodeToNodeMeshEnabled is false": (
        {"nodeMeshPassword": {"secretKeyRef": {"key": "k"}}},
        {"nodeMeshPassword": {"secretKeyRef": {"key": "k"}}, "nodeToNodeMeshEnabled": False},
    ),
    "nodeMeshMaxRestartTime cannot be set when nodeToNodeMeshEnabled is false": (
        {"nodeMeshMaxRestartTime": "10s", "nodeToNodeMeshEnabled": True},
        {"nodeMeshMaxRestartTime": "10s", "nodeToNodeMeshEnabled": False},
    ),
    "communities are defined but not used in prefixAdvertisements": (
        {
            "communities": [{"name": "c", "value": "1:2"}],
            "prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["c"]}],
        },
        {"communities": [{"name": "c", "value": "1:2"}]},
    ),
    "cidr and matchOperator must both be set or both be empty": (
        {"exportV4": [{"action": "Accept", "cidr": "10.0.0.0/8", "matchOperator": "In"}]},
        {"exportV4": [{"action": "Accept", "matchOperator": "In"}]},
    ),
    "cidr is required when prefixLength is set": (
        {
            "importV6": [
                {
                    "action": "Reject",
                    "cidr": "fd00::/8",
                    "matchOperator": "In",
                    "prefixLength": {"min": 9, "max": 64},
                }
            ]
        },
        {"importV6": [{"action": "Reject", "prefixLength": {"min": 9}}]},
    ),
    "operations may only be used with action Accept": (
        {"importV4": [{"action": "Accept", "operations": [{"setPriority": {"value": 1}}]}]},
        {"importV4": [{"action": "Reject", "operations": [{"setPriority": {"value": 1}}]}]},
    ),
    "node and nodeSelector cannot both be set": (
        {"node": "a"},
        {"node": "a", "nodeSelector": "all()"},
    ),
    "peerIP and peerSelector cannot both be set": (
        {"peerSelector": "all()"},
        {"peerSelector": "all()", "peerIP": "10.0.0.1"},
    ),
    "asNumber must be empty when peerSelector is set": (
        {"peerIP": "10.0.0.1", "asNumber": 64512},
        {"peerSelector": "all()", "asNumber": 64512},
    ),
    "peerIP must be empty when localWorkloadSelector is set": (
        {"localWorkloadSelector": "all()", "asNumber": 1},
        {"localWorkloadSelector": "all()", "asNumber": 1, "peerIP": "10.0.0.1"},
    ),
    "peerSelector must be empty when localWorkloadSelector is set": (
        {"localWorkloadSelector": "all()", "asNumber": 1},
        {"localWorkloadSelector": "all()", "asNumber": 1, "peerSelector": "all()"},
    ),
    "asNumber is required when localWorkloadSelector is set": (
        {"localWorkloadSelector": "all()", "asNumber": 1},
        {"localWorkloadSelector": "all()"},
    ),
    "reachableBy must be empty when peerIP is empty": (
        {"peerIP": "10.0.0.1", "reachableBy": "10.0.0.2"},
        {"reachableBy": "10.0.0.2"},
    ),
    "keepOriginalNextHop and nextHopMode cannot both be set; "
    "keepOriginalNextHop is deprecated, use nextHopMode instead": (
        {"peerIP": "10.0.0.1", "nextHopMode": "Keep"},
        {"peerIP": "10.0.0.1", "nextHopMode": "Keep", "keepOriginalNextHop": True},
    ),
    "at least one of interfaceName or expectedIPs must be specified": (
        {"node": "n", "expectedIPs": ["10.0.0.1"]},
        {"node": "n"},
    ),
    "node must be specified": (
        {"node": "n", "interfaceName": "*"},
        {"interfaceName": "*"},
    ),
    "nodeSelector must not be set on the 'default' or per-node ('node.*') FelixConfiguration": (
        ("some", {"nodeSelector": "all()"}),
        ("node.a", {"nodeSelector": "all()"}),
    ),
    "routeTableRange and routeTableRanges cannot both be set": (
        {"routeTableRange": {"min": 1, "max": 250}},
        {
            "routeTableRange": {"min": 1, "max": 250},
            "routeTableRanges": [{"min": 1, "max": 2}],
        },
    ),
    "must be a range of route table indices within 1..250": (
        {"routeTableRange": {"min": 1, "max": 250}},
        {"routeTableRange": {"min": 1, "max": 251}},
    ),
    "min must be >= 1": (
        {"routeTableRanges": [{"min": 1, "max": 2}]},
        {"routeTableRanges": [{"min": 0, "max": 2}]},
    ),
    "min must not be greater than max": (
        {"routeTableRanges": [{"min": 2, "max": 2}]},
        {"routeTableRanges": [{"min": 3, "max": 2}]},
    ),
    "natOutgoingAddress must be a valid IPv4 address": (
        {"natOutgoingAddress": "10.0.0.1"},
        {"natOutgoingAddress": "fd00::1"},
    ),
    "deviceRouteSourceAddress must be a valid IPv4 address": (
        {"deviceRouteSourceAddress": "10.0.0.1"},
        {"deviceRouteSourceAddress": "10.0.0.1/8"},
    ),
    "deviceRouteSourceAddressIPv6 must be a valid IPv6 address": (
        {"deviceRouteSourceAddressIPv6": "fd00::1"},
        {"deviceRouteSourceAddressIPv6": "10.0.0.1"},
    ),
}

OF_UPDATES = {
    "Block size cannot be changed; follow IP pool migration guide to avoid corruption.",
    "CIDR cannot be changed; follow IP pool migration guide to avoid corruption.",
}
"""Messages of rules that compare an object with what it was."""
