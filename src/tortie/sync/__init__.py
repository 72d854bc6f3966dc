"""From a datastore's lists and watches to one ordered stream of updates.

What comes in: a datastore. What goes out: `Update`s per key in order, `InSync` once when the first
complete picture is out, then changes as they come. Kubernetes objects leave here as the resources
that they stand for. After any outage the stream ends equal to the datastore: what is gone is
deleted explicitly. A malformed object leaves the last good value of its key in force and becomes a
warning, never a crash.
"""

from tortie.sync.backoff import Backoff
from tortie.sync.kinds import BGP_KINDS, FELIX_KINDS, POLICY_KINDS, TUNNEL_KINDS
from tortie.sync.outages import Outage, Outages
from tortie.sync.stream import InSync, Item, Progress, Update
from tortie.sync.syncer import Syncer
from tortie.sync.translator import SyncWarning

__all__ = [
    "BGP_KINDS",
    "FELIX_KINDS",
    "POLICY_KINDS",
    "TUNNEL_KINDS",
    "Backoff",
    "InSync",
    "Item",
    "Outage",
    "Outages",
    "Progress",
    "SyncWarning",
    "Syncer",
    "Update",
]
