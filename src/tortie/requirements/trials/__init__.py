"""Trying what the kernel has to do, each thing for itself, in a network namespace of our own.

A trial has a name, "link:vxlan" or "xt:nft:4:match set"; the word before the first colon is its
family, and a family is a function from names to what came of each. It runs in the process that
`sandbox` starts, which nothing outlives. Nothing is pinned, mounted or written to a disk.
"""
