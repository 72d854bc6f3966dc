"""This node: its start, how it is, its end."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie node",
    "This node: its start, how it is, its end.",
    {
        "check": Command("node_check", "whether this machine has what a node needs"),
        "start": Command("node_start", "bring it up, before its daemons"),
        "health": Command("node_health", "whether its daemons live and are ready, for probes"),
        "shutdown": Command("node_shutdown", "note that it goes down, and tell Kubernetes"),
        "monitor-addresses": Command(
            "node_monitor_addresses", "look at its addresses again and again"
        ),
        "settings": Command("node_settings", "its agent's settings, and who set each"),
        "autodetect": Command("node_autodetect", "which address would be its own, and why"),
        "rotate-keys": Command("node_rotate", "give its ends of WireGuard other keys"),
        "reset": Command("node_reset", "clean it of everything of ours"),
        "diags": Command("node_diags", "pack its state, settings and logs, without secrets"),
        "status": Command("node_status", "its BGP sessions and routes, and why any is not up"),
    },
    {"checksystem": Command("node_check", "the same as check, as calicoctl calls it")},
)
