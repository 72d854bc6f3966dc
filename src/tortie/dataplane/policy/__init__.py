"""What every policy driver does, whichever firewall it writes.

What comes in: the engine's deltas, and what a firewall says is there. What goes out: units of
edits in the firewall's own terms. `desired` folds, `plan` compares and orders, `walk` says what an
endpoint's chains ask, `names`, `nets` and `settings` are the words they share: all pure. `driver`
acts: fold, write, resync, guard, and the search for what the kernel refuses. How edits are
rendered, written and read is each firewall's own (`nftables`, `iptables`).
"""
