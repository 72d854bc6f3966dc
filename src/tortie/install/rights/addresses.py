"""What the controllers of pools, tiers and load balancers' addresses may do."""

from tortie.install.rights.roles import FOLLOW, READ, calico, core, of_group, stored

ADDRESSES = (
    calico("What is followed begins with the datastore's revision.", FOLLOW, "ClusterInformation"),
    core("Services of type LoadBalancer: what they ask for, and what they got.", READ, "services"),
    core("", ("patch",), "services/status"),
    core("Pools may be for some namespaces only.", ("get",), "namespaces"),
    calico(
        "An address for a Service may need a block of its own.",
        ("create",),
        *("BlockAffinity", "IPAMBlock", "IPAMHandle"),
    ),
    calico(
        "Pools and tiers say how they are, and wait for who uses them when they are deleted.",
        (*READ, "update"),
        *("IPPool", "Tier"),
    ),
    calico("", ("update",), "IPPool/status", "Tier/status"),
    stored("The last finalizer goes with the object, of which this group knows nothing.", "IPPool"),
    stored("", "Tier"),
    of_group(
        "Whether the virtual machine is gone that an address is kept for.",
        ("list",),
        "kubevirt.io",
        *("virtualmachineinstances", "virtualmachines"),
    ),
    calico(
        "Which policies a tier waits for.",
        ("list",),
        *("GlobalNetworkPolicy", "NetworkPolicy"),
        *("StagedGlobalNetworkPolicy", "StagedNetworkPolicy"),
    ),
)
