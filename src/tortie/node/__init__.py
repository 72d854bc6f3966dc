"""Bringing a node up: its Node resource, addresses and tunnel addresses.

What comes in: what the machine and its operator say. What goes out: the Node resource and tunnel
addresses from IPAM. It never touches policy.
"""
