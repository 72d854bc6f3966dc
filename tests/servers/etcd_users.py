"""Users and roles of a real etcd."""

import http.client
import json
from base64 import b64encode
from typing import Any

from servers.etcd import EtcdServer
from tortie.datastore.etcd.layout import WATCHED


class Admin:
    """etcd's users and roles, by its JSON gateway."""

    def __init__(self, server: EtcdServer) -> None:
        self._address = server.endpoint.removeprefix("http://")
        self._token = ""

    def ask(self, method: str, **fields: Any) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        headers = {"Authorization": self._token} if self._token else {}
        connection.request("POST", f"/v3/{method}", json.dumps(fields), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, body
        return body

    def enable(self) -> None:
        """Users are asked for from now on: `root`, and `agent`, who may read and write ours."""
        for name in ("root", "agent", "guest"):
            self.ask("auth/user/add", name=name, password=f"{name}'s")
            self.ask("auth/role/add", name=name)
            self.ask("auth/user/grant", user=name, role=name)
        ours = {"key": encoded(WATCHED.start), "range_end": encoded(WATCHED.end)}
        self.ask("auth/role/grant", name="agent", perm={"permType": "READWRITE", **ours})
        self.ask("auth/enable")
        self._token = self.ask("auth/authenticate", name="root", password="root's")["token"]


def encoded(key: bytes) -> str:
    return b64encode(key).decode()
