"""A readiness gate for tests: an HTTP server of a node."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from cni.node import BOUND
from tortie.linux.namespaces import in_namespace


@contextmanager
def gate(netns, statuses, asked=None, opened=None):
    """Answers with each status in turn, on the loopback of a namespace; its URL.

    `asked` is set once somebody asks, who then waits for `opened`, where these are given.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if asked is not None:
                asked.set()
                opened.wait(BOUND)
            self.send_response(statuses.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            return

    with in_namespace(netns):  # where its socket stays
        server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/readiness"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
