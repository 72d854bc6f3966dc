"""The streams' names, which are Typha's."""

FELIX, BGP, TUNNEL = "felix", "bgp", "tunnel-ip"
