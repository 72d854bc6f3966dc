"""Resources to one node's BGP, spoken by BIRD 2.

What comes in: the BGP stream of `tortie.sync` and passwords from Secrets. What goes out: a frozen
picture of whom this node speaks with and what it tells and takes (`picture`), its text for BIRD
(`text`), a running BIRD that has it, and what BIRD says of its sessions and routes (`status`,
`reasons`). All of that but the running BIRD is pure. It never speaks BGP itself, never programs a
kernel route itself, and a text that BIRD's own parser refuses never reaches the running BIRD.
"""
