"""What passes between two nodes: every port and protocol of rows P1 to P9, both ways, and the MTU.

One side listens (`tortie node check --listen`), the other one asks it (`--peer HOST`). They share a
key, which a person carries from one to the other; whoever lacks it gets a nonce and nothing else.
`sealing` is the protocol, sans-I/O; `probing` sends and receives one test; `listening` and `asking`
are the two sides.
"""
