"""Installing, on Kubernetes and on hosts without it."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie install",
    "Installing on Kubernetes (manifests, apply) and on hosts without it (host).",
    {
        "manifests": Command("install_manifests", "print what Kubernetes is to be told"),
        "apply": Command("install_apply", "tell a cluster, and wait until everything runs"),
        "certificates": Command("install_certificates", "print those of agents and of the fan-out"),
        "host": Command("install_host", "install on this machine, without Kubernetes"),
        "uninstall": Command("uninstall", "remove everything that was installed"),
    },
)
