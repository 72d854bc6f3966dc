"""The whole cluster."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie cluster",
    "The whole cluster.",
    {
        "diags": Command("cluster_diags", "pack its resources and state, without secrets"),
        "status": Command("status", "how it is, and what is wrong"),
    },
)
