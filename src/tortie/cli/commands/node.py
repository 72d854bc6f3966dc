"""This node: how it is."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie node",
    "This node: how it is.",
    {
        "settings": Command("node_settings", "its agent's settings, and who set each"),
        "autodetect": Command("node_autodetect", "which address would be its own, and why"),
        "rotate-keys": Command("node_rotate", "give its ends of WireGuard other keys"),
        "status": Command("node_status", "its BGP sessions and routes, and why any is not up"),
    },
)
