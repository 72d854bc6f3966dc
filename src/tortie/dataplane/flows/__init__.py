"""Connections that policy denies now, though it allowed them when they began.

Established packets pass without being asked again; so where the setting EndDeniedFlows is on, the
connections of whatever a change touched are judged by the reference evaluator, and those that it
denies end. What comes in: the deltas that every driver gets. What goes out: connection tracking
entries deleted, or marked for the packet filter to drop. It never touches a connection that no
change concerned.
"""

from tortie.dataplane.flows.driver import FlowDriver

__all__ = ["FlowDriver"]
