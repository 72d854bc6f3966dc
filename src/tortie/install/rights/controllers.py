"""The controllers: what the cluster needs seen to, apart from any node."""

from tortie.install.rights.addresses import ADDRESSES
from tortie.install.rights.leading import LEADING
from tortie.install.rights.roles import Role, calico, core

CONTROLLERS = Role(
    "calico-kube-controllers",
    "The controllers: they give back addresses and blocks that pods and nodes left behind.",
    (
        *LEADING,
        calico("How addresses are given.", ("get",), "IPAMConfiguration"),
        core("Who uses addresses.", ("list",), "pods"),
        calico("", ("list",), "IPPool", "IPReservation"),
        calico(
            "The books: what nobody uses is given back.",
            ("get", "list", "update", "delete"),
            *("BlockAffinity", "IPAMBlock", "IPAMHandle"),
        ),
        *ADDRESSES,
    ),
    account="calico-kube-controllers",
)
