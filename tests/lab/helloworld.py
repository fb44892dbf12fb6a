"""Says which version it is: the other end of a mesh's traffic test. Runs in a container of the lab."""

from __future__ import annotations

import http.server
import os
import socket


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.split("?", maxsplit=1)[0]
        if path == "/hello":
            version = os.environ.get("SERVICE_VERSION")
            code, body = 200, f"Hello version: {version}, instance: {socket.gethostname()}\n"
        elif path == "/health":
            code, body = 200, "Helloworld is healthy"
        else:
            code, body = 404, "not found\n"
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it that
        """Say nothing: the sidecar logs requests already."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 5000), _Handler).serve_forever()
