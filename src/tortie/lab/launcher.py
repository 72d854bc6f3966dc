"""Become a process of the lab, once it is written down: `launcher.py COMMAND ARGUMENT…`.

Standard library only, run as a script. It waits for one byte on stdin, which comes after its PID is
on disk. If stdin ends without it, whoever started this was killed: then nothing is run, so that no
process of a lab is ever unknown to `tortie lab down`.
"""

import os
import sys

if __name__ == "__main__":
    if os.read(0, 1) == b"":
        sys.exit(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.execv(sys.argv[1], sys.argv[1:])
