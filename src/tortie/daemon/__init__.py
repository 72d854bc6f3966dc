"""What every daemon has around its work: pages for health and metrics, logs, an orderly end.

It knows nothing of what the daemon does.
"""
