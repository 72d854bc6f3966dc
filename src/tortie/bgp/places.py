"""Where the daemon's files are. Apart, so that a command that only asks it loads nothing else."""

RUN_DIR = "/run/tortie"
FOLDER = "bgp"
"""In the run directory: the lock, the promise to one datastore, BIRD's own folder."""
SOCKET = "bgp.sock"
"""In the run directory: what `tortie node status` asks."""
DEFAULT_SECRETS = "/etc/tortie/bgp-secrets"
