"""The `tortie` command; every daemon is a subcommand.

What comes in: arguments and manifests. What goes out: text for people, JSON and YAML for machines,
exit statuses. It imports lazily, and holds no decisions beyond what to print.
"""
