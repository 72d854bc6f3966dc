"""etcd v3 as datastore, with Calico's keys and values, so that existing data serve as they are.

What comes in: the contract's operations. What goes out: requests to one member of the cluster after
another, until one answers: `connection` decides whom to ask, `layout` and `models` where and how an
object stands there, `writing` what a lost answer means, `watching` how a watch goes on. It never
caches what a read answers, and never takes a write for done that it can't prove.
"""

import os

# Read when gRPC is loaded. It prints each failed handshake to stderr otherwise; `diagnosis` tells.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from tortie.datastore.etcd.store import EtcdDatastore

__all__ = ["EtcdDatastore"]
