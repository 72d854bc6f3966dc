"""Time and memory of the engine in this process, and the lines that say them."""

import gc
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.engine.making import HERE, Update, batches
from tortie.api import Resource
from tortie.engine import Engine, NodeState


def emit(name: str, value: float, unit: str) -> None:
    """One line of results."""
    print(
        json.dumps({"name": f"engine: {name}", "value": round(value, 4), "unit": unit}), flush=True
    )


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call: the engine does nothing but compute."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peak() -> float:
    """The most memory that this process has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Loaded:
    """An engine that has taken in a cluster, and what that cost."""

    def __init__(self, resources: Iterator[Resource]) -> None:
        gc.collect()
        before = peak()
        self.engine, self.state = Engine(HERE), NodeState()
        self.updates = 0
        self.seconds = 0.0
        for batch in batches(resources):
            self.updates += len(batch)
            self.seconds += seconds(partial(self.step, batch))
        self.megabytes = peak() - before

    def step(self, batch: Sequence[Update]) -> None:
        """One round: a batch in, its delta folded into the state."""
        self.state.fold(self.engine.apply(batch))

    def each(self, updates: Sequence[Update]) -> float:
        """CPU seconds for one update, each applied by itself."""
        return seconds(lambda: [self.step([update]) for update in updates]) / len(updates)
