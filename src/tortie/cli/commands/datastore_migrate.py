"""Move a cluster from one datastore to another."""

from tortie.cli.dispatch import Command, Group

GROUP = Group(
    "tortie datastore migrate",
    "Move a cluster from one datastore to another, in either direction between SQLite,\n"
    "etcd and the Kubernetes API: lock, export, import there, let the nodes follow the\n"
    "new one, unlock.",
    {
        "lock": Command("datastore_migrate_lock", "let nothing change in a datastore"),
        "export": Command("datastore_migrate_export", "write all that it holds to a file"),
        "import": Command("datastore_migrate_import", "put a file into another datastore"),
        "unlock": Command("datastore_migrate_unlock", "let a datastore change again"),
    },
)
