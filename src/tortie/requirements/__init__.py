"""Will it run here: every requirement of the pages that the system promises to run by.

What comes in: the modes that are chosen (for what, which dataplane, which tunnels), and a machine.
What goes out: a finding for each row, with what was found and what to do.

The way of a row: its check (`checks/`, one small module each, listed in `registry`) names what has
to be tried; `trials/` tries it in a throw-away network namespace, in a process of its own
(`sandbox`); the check's `judge` is pure and says what that means for the chosen modes. `report`
shows it, `peer/` tries what passes between two nodes, `documents` writes docs/requirements.md of
the same checks. It changes nothing on the machine; `fixing` alone writes a file, and only if asked.
"""
