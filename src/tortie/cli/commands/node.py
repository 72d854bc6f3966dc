"""This node: how it is."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie node",
    "This node: how it is.",
    {
        "status": Command("node_status", "its BGP sessions and routes, and why any is not up"),
    },
)
