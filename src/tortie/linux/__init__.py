"""Kernel I/O: netlink, links, routes, neighbours, sysctls and namespaces.

What comes in: typed requests. What goes out: typed answers and kernel errors as exceptions. Codecs
are sans-I/O (bytes in, messages out) with thin sockets around them. It never decides what should be
there, and never starts a shell.
"""
