"""The CNI plugin on this host: installing it, removing it."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie cni",
    "The CNI plugin on this host.",
    {
        "install": Command("cni_install", "have plugin, configuration and kubeconfig be there"),
        "remove": Command("cni_remove", "remove what was installed, and nothing else"),
    },
)
