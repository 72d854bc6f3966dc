"""A list of plugins called as libcni calls them: each gets what the one before it said."""

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from cni.node import BOUND
from servers.place import REFERENCE_PLUGINS


class PluginFailed(Exception):
    """A plugin of the list refused; `error` is what it printed."""

    def __init__(self, kind, error):
        super().__init__(f"{kind}: {error}")
        self.kind, self.error = kind, error


class Chain:
    """A network of several plugins on a node: ours, then Debian's."""

    def __init__(self, node, *others, version="1.0.0", name="k8s-pod-network", **own):
        self.node, self.version, self.name = node, version, name
        first = node.config(**own)
        self.plugins = [first, *others]
        self.results = {}

    def add(self, container, netns, pod="", ifname="eth0", **capabilities):
        """ADD to all; the last result. `capabilities` are what the runtime asks for."""
        result = None
        for plugin in self.plugins:
            call = ("ADD", plugin, container, netns, pod, ifname, result, capabilities)
            result = self._call(*call) or result
        self.results[container, ifname] = result, capabilities
        return result

    def check(self, container, netns, pod="", ifname="eth0"):
        """CHECK of all."""
        result, capabilities = self.results[container, ifname]
        for plugin in self.plugins:
            self._call("CHECK", plugin, container, netns, pod, ifname, result, capabilities)

    def delete(self, container, netns="", pod="", ifname="eth0"):
        """DEL of all, the last first."""
        result, capabilities = self.results.pop((container, ifname), (None, {}))
        for plugin in reversed(self.plugins):
            self._call("DEL", plugin, container, netns, pod, ifname, result, capabilities)

    def _call(self, command, plugin, container, netns, pod, ifname, result, capabilities):
        config = {**plugin, "cniVersion": self.version, "name": self.name}
        wanted = config.pop("capabilities", {})
        if given := {key: value for key, value in capabilities.items() if wanted.get(key)}:
            config["runtimeConfig"] = given
        if result is not None:
            config["prevResult"] = result
        done = subprocess.run(
            ["nsenter", f"--net={self.node.netns}", self._program(plugin["type"])],
            input=json.dumps(config).encode(),
            capture_output=True,
            timeout=3 * BOUND,
            env=self._environ(command, container, netns, pod, ifname),
        )
        if done.returncode:
            said = done.stdout
            with suppress(ValueError):
                said = json.loads(said)
            raise PluginFailed(plugin["type"], said or done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def _program(self, kind):
        own = self.node.plugin.parent / kind
        return str(own if own.exists() else REFERENCE_PLUGINS / kind)

    def _environ(self, command, container, netns, pod, ifname):
        found = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": ifname,
            "CNI_PATH": f"{self.node.plugin.parent}:{REFERENCE_PLUGINS}",
        }
        if pod:
            found["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}"
        return found


def reference_plugins_lacking():
    """Why there are none of Debian's plugins here; empty where there are."""
    if (Path(REFERENCE_PLUGINS) / "portmap").exists():
        return ""
    return "there are no reference plugins here: `tools/setup.sh` installs them"
