"""A node for the tests that need the kernel."""

import pytest

from cni.node import RealNode


@pytest.fixture
def node(tmp_path):
    """A node whose agent is not started yet."""
    found = RealNode(tmp_path)
    yield found
    found.close()


@pytest.fixture
def ready_node(node):
    """A node whose agent is ready."""
    node.start_ready()
    return node
