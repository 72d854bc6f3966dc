"""Netlink: the kernel's own protocol for links, addresses, routes, neighbours and nf_tables.

What comes in: typed requests. What goes out: bytes for the kernel, and typed values from its
answers. `wire`, `rtnetlink` and `nfnetlink` are sans-I/O: bytes in, messages out, every malformed
input a `MalformedMessage`. `sockets` and `monitor` move the bytes and hold no knowledge of what
the messages mean.
"""
