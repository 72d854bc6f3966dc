"""Bringing a node up, and what of it may change while it runs.

What comes in: what the machine and its operator say. What goes out: the Node resource with its
addresses, a cluster's first pools and settings (`start`), tunnel addresses from IPAM, the MTU of
workloads, WireGuard's public keys. It never touches policy.
"""
