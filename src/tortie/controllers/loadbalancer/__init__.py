"""Addresses for Services of type LoadBalancer.

What comes in: Services, pools, and what is held under each Service's handle. What goes out:
addresses of pools with `allowedUses: [LoadBalancer]`, held by the virtual host `load-balancer`, in
`status.loadBalancer.ingress`, from where BGP announces them. `wishes`, `plan` and `status` decide
and are pure; `balancer` does it for one Service, `controller` for all.
"""
