"""What the cluster's own servers say of it: versions, kube-proxy, ranges, Istio, the clock.

`facts` is what checks judge, `reading` turns answers into it and is pure, `asking` asks.
"""
