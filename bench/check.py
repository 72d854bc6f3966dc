"""`tortie node check`: whole processes, for each dataplane, with every device there is."""

import json
import resource
import statistics
import subprocess
import sys
import time

RUNS = 9
CHECK = (sys.executable, "-m", "tortie.cli", "node", "check", "--datastore", "memory:")
WAYS = ("--encap", "ipip,vxlan,wireguard,bgp")


def main() -> None:
    """Print every figure as a line of JSON. It needs root."""
    for dataplane in ("nftables", "iptables", "bpf"):
        words = (*CHECK, *WAYS, "--dataplane", dataplane)
        seconds, work = zip(*(run(words) for _ in range(RUNS)), strict=True)
        name = f"check: tortie node check, {dataplane}, every way"
        for what, values in (("", seconds), (": CPU", work)):
            figure = {"name": name + what, "value": statistics.median(values), "unit": "s"}
            print(json.dumps(figure), flush=True)


def run(words: tuple[str, ...]) -> tuple[float, float]:
    """How long a process takes, and its CPU's time, in seconds; its status says what lacks."""
    begin, before = time.perf_counter(), _work()
    subprocess.run(words, check=False, capture_output=True)
    return time.perf_counter() - begin, _work() - before


def _work() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
