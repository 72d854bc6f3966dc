"""Look into address management, and mend it."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie ipam",
    "Which addresses are held, by whom and why; what leaked; how they are given out.",
    {
        "show": Command("ipam_show", "say how full pools are, or who holds an address"),
        "check": Command("ipam_check", "find what does not add up: leaks above all"),
        "release": Command("ipam_release", "give back addresses that nobody uses"),
        "split": Command("ipam_split", "make one pool into several smaller ones"),
        "configure": Command("ipam_configure", "change how addresses are given out"),
    },
)
