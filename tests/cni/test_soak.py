"""Containers that come and go at random while the agent is killed at random: nothing leaks."""

import os
import random
import re
import time

import pytest

from cni.node import until

pytestmark = pytest.mark.root

ROUNDS = int(os.environ.get("TORTIE_CNI_ROUNDS", "25"))
PODS = 8


class Soak:
    """Pods of which each has, or may have, a container."""

    def __init__(self, node, chance):
        self.node, self.chance = node, chance
        self.pods = {f"p{number}": node.namespace(f"p{number}") for number in range(PODS)}
        self.containers = dict.fromkeys(self.pods, "")
        self.kills = 0
        self._started = 0
        for pod in self.pods:
            node.pod(pod)

    def round(self):
        """Add and delete several at once, perhaps with the agent killed in the middle."""
        some = self.chance.sample(sorted(self.pods), self.chance.randrange(1, PODS))
        calls = [self._start(pod) for pod in some]
        killed = self.chance.random() < 0.2
        if killed:
            time.sleep(self.chance.random() * 0.06)
            self.node.kill()
            self.kills += 1
        for command, pod, process in calls:
            output = process.communicate(timeout=90)[0]
            assert process.returncode == 0 or killed, output
            if command == "DEL" and process.returncode == 0:
                self.containers[pod] = ""
        if killed:
            self.node.start_ready()

    def _start(self, pod):
        if self.containers[pod]:
            netns = self.chance.choice([self.pods[pod], ""])
            return "DEL", pod, self.node.cni_start("DEL", self.containers[pod], netns, pod)
        self._started += 1
        self.containers[pod] = f"c{self._started}"
        return "ADD", pod, self.node.cni_start("ADD", self.containers[pod], self.pods[pod], pod)

    def finish(self):
        """Delete what is left, as a runtime does with every container that it ever began."""
        for pod, container in self.containers.items():
            if container:
                assert self.node.cni("DEL", container, self.pods[pod], pod).returncode == 0


async def _held(store):
    blocks = (await store.list("IPAMBlock")).resources
    handles = (await store.list("IPAMHandle")).resources
    taken = sum(one is not None for block in blocks for one in block.spec.allocations)
    return [handle.metadata.name for handle in handles], taken


def test_random_containers_and_kills_leave_nothing(ready_node):
    soak = Soak(ready_node, random.Random(ROUNDS))
    for _ in range(ROUNDS):
        soak.round()
    soak.finish()
    assert soak.kills > 0
    until(lambda: not ready_node.links(), "the end of the last interfaces")
    assert ready_node.store(_held) == ([], 0)
    until(lambda: not re.search(r"cali[0-9a-f]{11}", ready_node.ruleset()), "the end of rules")
    assert ready_node.ask("status")["failures"] == []
