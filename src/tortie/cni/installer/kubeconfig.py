"""The kubeconfig of whoever on the host asks the API server in the plugin's name. Pure."""

import base64
import json

from tortie.cni.installer.settings import Server

NAME = "calico-kubeconfig"
_HEAD = """\
# Kubeconfig file for the CNI plugin, written and renewed by `tortie cni install`.
# Whoever reads it reads it anew for each request: its token does not live long.
"""


def kubeconfig(server: Server, ca: bytes, token: str, *, insecure: bool = False) -> bytes:
    """The file's text. `ca` is PEM; with `insecure` the server's certificate is not looked at."""
    cluster: dict[str, object] = {"server": server.url}
    if insecure:
        cluster["insecure-skip-tls-verify"] = True
    elif ca:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    parts = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "calico", "user": {"token": token}}],
        "contexts": [{"name": "calico-context", "context": {"cluster": "local", "user": "calico"}}],
        "current-context": "calico-context",
    }
    return (_HEAD + json.dumps(parts, indent=2) + "\n").encode()  # JSON is YAML
