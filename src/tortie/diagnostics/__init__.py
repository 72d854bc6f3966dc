"""Bundles for who has to find out what is wrong: of a node (`tortie node diags`), of the cluster
(`tortie cluster diags`).

    node, cluster: items (a name and how to get it) ─▶ gather ─▶ redact ─▶ bundle (tar.gz, 0600)

A bundle is made on a machine that may be in trouble, and is given to people who must not get its
secrets. So every item is bounded in time and size, an item that fails says why in its place, and
everything goes through `redact` on its way.
"""
