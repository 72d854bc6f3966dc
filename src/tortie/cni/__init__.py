"""The CNI plugin: a shim that asks the agent, and the agent's side of it.

What comes in: the CNI environment and configuration. What goes out: an addressed, policy-protected
interface in the container, or a clear error and nothing left behind. The shim uses the standard
library only and decides nothing.
"""
