"""Desired state into the kernel: nftables, routes, tunnels.

What comes in: the engine's deltas. What goes out: kernel transactions that hold only differences.
Each driver owns its objects by name or table, reads back once what is there, and leaves the last
good state in force when a write fails. It never decides a verdict or an address.
"""
