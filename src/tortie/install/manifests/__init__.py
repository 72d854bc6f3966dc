"""Everything that Kubernetes is told of an installation, as plain objects in a safe order. Pure."""
