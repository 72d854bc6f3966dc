"""A whole cluster of network namespaces on one machine: fabric, nodes, workloads, probes.

What comes in: Kubernetes YAML. What goes out: nodes with real agents, workloads connected through
the real CNI plugin, and a matrix of who reaches whom. It never touches the machine's own firewall,
routes or sysctls, and ends no process that it has not written down.
"""
