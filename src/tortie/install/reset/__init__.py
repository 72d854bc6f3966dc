"""A node's kernel as if we had never been there.

What comes in: the settings that said which names and numbers are ours. What goes out: what there is
of ours, part by part, and, when somebody says so, its removal. Nothing is removed while an agent or
BGP runs: both would put it back. Workloads lose their network before the policy goes, so that none
of them is ever reachable without it.
"""
