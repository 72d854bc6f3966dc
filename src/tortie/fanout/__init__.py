"""One follower of the datastore for many agents: a server on TCP 5473 and its client.

What comes in: the ordered stream of `tortie.sync`. What goes out: the same stream, to each client
from a snapshot on, each message encoded once whatever the number of clients. It never decides what
an update means.
"""
