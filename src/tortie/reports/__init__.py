"""What each node's daemons say of themselves, kept in the datastore for `tortie status`.

    agent, bgp ─ Report ─▶ reporting (every 30 s, and when it changes) ─▶ shelf ─▶ `tortie status`

Reports lie beside what is watched (etcd: under a folder of their own; Kubernetes: a Lease each;
SQLite: a folder beside the file), so that nobody is told of them and a large cluster's signs of
life cost nobody else anything. Nothing depends on them: where they can't be written, work goes on.
"""

from tortie.reports.report import Report
from tortie.reports.shelf import Shelf, opened_shelf

__all__ = ["Report", "Shelf", "opened_shelf"]
