"""The node agent: datastore to kernel, with health, metrics and status.

What comes in: the update stream and kernel notifications. What goes out: applied deltas, answers to
'is this endpoint ready?', health, metrics and logs. Stopping it leaves policy in force. It never
computes policy and never writes a resource that a person owns.
"""
