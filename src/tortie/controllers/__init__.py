"""What the cluster needs seen to, apart from any node: what nodes and pods leave behind.

What comes in: the datastore, read whole from time to time. What goes out: addresses that nobody
uses any more given back, blocks that nobody needs given up. What decides is pure (`leaks`,
`spare`); `collector` reads, asks them, and releases by compare and swap, so that two of it at once
do no harm. `service` is the daemon around it. It never touches a kernel.
"""
