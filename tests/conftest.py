"""What all tests can ask for, and how properties are tried."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("TORTIE_LAB_PATIENCE", "120")  # seconds: a busy machine is no failure
pytest_plugins = ["servers.fixtures", "servers.kube_fixtures", "vm.marks", "network.told"]

# Nor a property's: none holds only for who is quick enough.
settings.register_profile("tortie", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tortie")
