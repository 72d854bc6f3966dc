"""A machine without Kubernetes: units of systemd, /etc/tortie, folders; and all of it gone again.

What comes in: which daemons are wanted and what they are told. What goes out: files as they have to
be (`units`, `settings`: pure), compared with those that are there (`plan`), and written. Doing it
again changes nothing, and says so: what ansible and its like go by.
"""
