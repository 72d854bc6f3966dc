"""Kubernetes objects into the resources that they stand for.

What comes in: Pods, Namespaces, ServiceAccounts and NetworkPolicies as typed values. What goes out:
WorkloadEndpoints, Profiles and policies, with the labels and names that Calico gives them. A rule that
can't be converted fails closed. It never performs I/O.
"""
