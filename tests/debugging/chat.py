"""A chat endpoint for tests of `iterpref debug`: a real server that answers by a function of the messages."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Chat:
    """`asked`: the messages of each request so far."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], str]) -> None:
        asked: list[list[dict[str, Any]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
                asked.append(messages)
                choice = {"index": 0, "message": {"role": "assistant", "content": answer(messages)}}
                usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
                body = json.dumps({"choices": [choice | {"finish_reason": "stop"}], "usage": usage}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def settings(self) -> list[str]:
        """Options of a command that make this endpoint its client."""
        url = f"http://127.0.0.1:{self._server.server_port}/v1"
        values = ("client.kind=openai", f"client.base_url={url}", "client.model=m", "sandbox.workers=1")
        return [part for value in values for part in ("--set", value)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
