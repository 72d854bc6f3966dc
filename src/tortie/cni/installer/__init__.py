"""Installing the plugin on a node: its executable and interpreter, configuration, kubeconfig.

What comes in: Calico's variables and options, this node's service account. What goes out: files in
the two folders where a container runtime looks, each whole at any moment, and a record of them, so
that only what was made is ever removed. `elf`, `conflist` and `kubeconfig` are pure.
"""
