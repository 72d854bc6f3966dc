"""A node for the tests that need the kernel."""

import pytest

from cni.node import RealNode


@pytest.fixture
def node(tmp_path):
    """A node whose agent is not started yet, with health and metrics pages."""
    pages = {
        "FELIX_HEALTHENABLED": "true",
        "FELIX_HEALTHHOST": "127.0.0.1",
        "FELIX_PROMETHEUSMETRICSENABLED": "true",
        "FELIX_PROMETHEUSMETRICSHOST": "127.0.0.1",
    }
    found = RealNode(tmp_path, environ=pages)
    yield found
    found.close()
