"""From a choice of modes to a running installation, and back.

What comes in: what somebody wants (datastore, encapsulation, dataplane, servers of the fan-out).
What goes out: `manifests` (everything that Kubernetes is told, pure), `cluster` (an API server
that is told it, and waited for), `host` (a machine without Kubernetes), `reset` (a machine's kernel
as if we had never been there). It removes what it made, by its label, its owner or its name, and
nothing else; people's resources go only when somebody says so.
"""
