"""What all tests can ask for, and how properties are tried."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["servers.fixtures", "servers.kube_fixtures", "vm.marks", "network.told"]

# A busy machine is no failure: no property holds only for who is quick enough.
settings.register_profile("tortie", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tortie")
