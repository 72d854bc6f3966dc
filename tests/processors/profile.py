"""A plugin of pytest for emulated processors: fewer examples, and no haste."""

import os
import sys

from hypothesis import HealthCheck, settings

settings.register_profile(
    "emulated",
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("emulated")

# What tests start anew must be this interpreter under its emulator: the kernel would not know it.
sys.executable = os.environ["EMULATED_PYTHON"]
