"""What concerns the datastore as a whole."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie datastore",
    "What concerns the datastore as a whole.",
    {"migrate": Command("datastore_migrate", "move a cluster to another datastore")},
)
