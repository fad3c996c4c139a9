"""A server that answers as it likes, and notes what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Answer = tuple[int, bytes]


class HostileServer:
    """Answers every question alike, or as a function of the path says.

    An endless one sends zeros until the other side hangs up.
    """

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        *,
        endless: bool = False,
        answer: Callable[[str], Answer] | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.n_sent = 0
        self.endless = endless
        self.answer = answer or (lambda _: (status, body))
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def is_untouched(self) -> bool:
        """Tell that nobody has as much as connected."""
        return self._server.n_connections == 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Wait for the answers under way, and answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    n_connections = 0

    def verify_request(self, *_: object) -> bool:
        """Count, and let everybody in."""
        self.n_connections += 1
        return True


def _handler(server: HostileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            status, body = server.answer(self.path)
            self.send_response(status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            if not server.endless:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                while server.endless:
                    server.n_sent += self.wfile.write(bytes(1 << 16))
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        do_POST = do_GET  # noqa: N815  (the library's name)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def run(run_id: object, uri: str = "mlflow-artifacts:/x", **tags: str) -> dict[str, Any]:
    """Describe a run as a tracking server does; of a tag `kind` that is ``runner.kind``."""
    info = {"run_id": run_id, "run_uuid": run_id, "run_name": "x", "experiment_id": "1"}
    info |= {"status": "FINISHED", "start_time": 0, "end_time": 1, "lifecycle_stage": "active"}
    named = [{"key": f"runner.{name}", "value": value} for name, value in tags.items()]
    return {"info": info | {"artifact_uri": uri}, "data": {"tags": named}}


def serving(answers: dict[str, object], location: str = "") -> Callable[[str], Answer]:
    """Answer what an MLflow client asks, by the last part of the path.

    The artifacts of the only experiment go to the location.
    """
    experiment = {"experiment_id": "1", "name": "x", "lifecycle_stage": "active"}
    experiment["artifact_location"] = location
    all_answers = {"health": {}, "experiments/search": {}, **answers}
    all_answers.setdefault("experiments/get", {"experiment": experiment})

    def answer(path: str) -> Answer:
        asked = path.partition("?")[0]
        for name, content in all_answers.items():
            if asked.endswith(name):
                return 200, content if isinstance(content, bytes) else json.dumps(content).encode()
        return 404, b"{}"

    return answer
