"""A proxy on loopback before a tracking server, which fails as it is told."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

# A fault of a call: what is done of it, and what is answered.
FAULTS = ("500", "503", "reset", "dropped", "redirect", "slow")


class FaultyProxy:
    """Passes calls on to a server; those that `is_faulty` picks fail in the way of `fault`.

    ``dropped`` does the work and then hangs up; the others do nothing of it.
    """

    def __init__(self, server: str, fault: str, is_faulty: Callable[[str, int], bool]) -> None:
        self.target = urlsplit(server).netloc
        self.fault, self.is_faulty = fault, is_faulty
        self.n_faults = 0
        self.is_open = True
        self._counts: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def fails(self, path: str) -> bool:
        """Count a call by the last words of its path, and tell whether it fails."""
        name = "/".join(path.partition("?")[0].split("/")[-2:])
        self._counts[name] = self._counts.get(name, 0) + 1
        failed = self.is_open and self.is_faulty(name, self._counts[name])
        self.n_faults += failed
        return failed

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            failed = proxy.fails(self.path)
            if failed and proxy.fault != "dropped":
                self._fail(proxy.fault)
                return
            there = http.client.HTTPConnection(proxy.target, timeout=60)
            there.request(self.command, self.path, body, dict(self.headers))
            answer = there.getresponse()
            content = answer.read()
            there.close()
            if failed:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  (the library's names)

        def _fail(self, fault: str) -> None:
            self.close_connection = True
            if fault == "reset":
                self.connection.close()
                return
            if fault == "slow":
                time.sleep(2)  # longer than the tests let a call take
            status = {"redirect": 302, "slow": 200}.get(fault) or int(fault)
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
