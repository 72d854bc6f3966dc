"""The Kubernetes API as datastore.

What comes in: where the API server is and who we are. What goes out: the contract of
`tortie.datastore`, with Calico's kinds as custom resources of one of its two groups, and
Kubernetes' own objects as they are. Lists come in pages of one snapshot, bytes straight into our
types; each kind has a watch of its own, and one stream tells up to which revision all of them are
complete. It never writes a field of a core object that is not Calico's.
"""

from tortie.datastore.kubernetes.store import KubernetesDatastore

__all__ = ["KubernetesDatastore"]
