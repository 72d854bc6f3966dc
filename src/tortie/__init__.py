"""Networking and network policy for Kubernetes pods, VMs, containers and bare hosts.

Resources flow one way: datastore, sync, engine, dataplane, kernel. Each package's docstring
says what comes in, what goes out, and what it never does; `docs/architecture.md` has the map.
"""

__version__ = "0.1.0"
