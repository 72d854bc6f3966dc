"""A cluster of network namespaces on this machine."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie lab",
    "A cluster of network namespaces on this machine: nodes with real agents, pods\n"
    "connected by the real CNI plugin. The machine's own firewall, routes and sysctls\n"
    "are never touched.",
    {
        "up": Command("lab_up", "bring a lab up, or complete one"),
        "status": Command("lab_status", "how its nodes and workloads are"),
        "apply": Command("lab_apply", "apply resources, and wait until they are in force"),
        "delete": Command("lab_delete", "remove resources, and wait until that is in force"),
        "probe": Command("lab_probe", "who reaches whom, by real packets"),
        "exec": Command("lab_exec", "run a command inside a workload or node"),
        "link": Command("lab_link", "cut a node's cable, or mend it"),
        "kill": Command("lab_kill", "end a node as a power cut would"),
        "down": Command("lab_down", "take it down; nothing is left"),
        "demo": Command("lab_demo", "the main job, shown from begin to end in a lab of its own"),
    },
)
