"""What the cluster needs seen to, apart from any node.

What comes in: the datastore, and Kubernetes' API where that is another. What goes out: addresses
that nobody uses given back, host endpoints and labels of nodes, addresses of load balancers,
conditions of pools and tiers, and for other datastores what follows from Kubernetes. A controller
is a value (`registry` has all) that reconciles from whatever it finds; what decides is pure. One
process leads, and writes by compare and swap, so that a second one does no harm. It never touches a
kernel.
"""
