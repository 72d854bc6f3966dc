"""What all tests can ask for."""

pytest_plugins = ["servers.fixtures", "servers.kube_fixtures", "vm.marks"]
