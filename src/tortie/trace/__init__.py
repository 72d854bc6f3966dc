"""Questions about policy, answered without a packet: who reaches whom, by which rule, and what if.

What comes in: resources, of a datastore or of a folder of manifests, and a question. What goes out:
the verdict of the reference evaluator with its whole reason, whether assertions hold, and how reach
would change. All of it runs on the engine and the evaluator alone; it decides nothing itself and
performs no I/O.
"""
