"""HTTP endpoints for tests: a proxy before a real server that injects faults, and an endpoint that answers by a script.

Both are real servers on 127.0.0.1, in a thread with its own event loop, and count what reaches them.
"""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self
from urllib.parse import parse_qs

FAULTS = ("429", "500", "hang", "cut", "truncated", "nonsense", "slow")
Script = Callable[[dict[str, Any]], tuple[int, Any]]


class Endpoint:
    """Base: HTTP/1.1, one connection a request."""

    def __init__(self) -> None:
        self.requests = 0
        self.seen: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] | None = None
        """What `GET models` answers, which is not counted; None: that there is no such path."""
        self.models_status: int | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(300)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(300)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if b"content-length:" in line.lower()]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            if head.startswith(b"GET /v1/models "):
                content = json.dumps({"object": "list", "data": self.models}).encode()
                writer.write(response(self.models_status or (404 if self.models is None else 200), content))
            else:
                self.requests += 1
                await self.handle(head, body, writer)
            await writer.drain()
        writer.close()

    async def handle(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


def response(status: int, content: bytes, headers: str = "", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} S\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n"
    return f"{head}{headers}\r\n".encode() + content


def completion(text: str, **fields: Any) -> dict[str, Any]:
    """A chat completion as vLLM answers it."""
    message = {"role": "assistant", "content": text} | fields.pop("message", {})
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"} | fields], "usage": usage}


class Scripted(Endpoint):
    """Answers by a function of the request's body; `headers` are sent with every answer."""

    def __init__(self, script: Script, headers: str = "") -> None:
        super().__init__()
        self._script = script
        self._headers = headers

    async def handle(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.seen.append(json.loads(body))
        status, answer = self._script(self.seen[-1])
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        writer.write(response(status, content, self._headers))


class FaultyProxy(Endpoint):
    """Passes requests on to a server at `port`, and spoils a share of them.

    429 (with Retry-After), 500 and nonsense are answered here, a hang never is; a cut connection, truncated JSON and
    a slow body come after the server did its work.
    """

    def __init__(self, port: int, rate: float, seed: int = 0, faults: Sequence[str] = FAULTS) -> None:
        super().__init__()
        self._upstream = port
        self._rate = rate
        self._random = random.Random(seed)
        self._kinds = faults
        self.faults: Counter[str] = Counter()

    async def handle(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self._random.choice(self._kinds) if self._random.random() < self._rate else ""
        if fault:
            self.faults[fault] += 1
        match fault:
            case "429":
                writer.write(response(429, b'{"error": {"message": "slow down"}}', "Retry-After: 0.2\r\n"))
            case "500":
                writer.write(response(500, b'{"error": {"message": "oops"}}'))
            case "nonsense":
                writer.write(response(200, b"<html>Welcome</html>", kind="text/html"))
            case "hang":
                await asyncio.sleep(3600)
            case _:
                await self._pass_on(fault, head, body, writer)

    async def _pass_on(self, fault: str, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        lines = [line for line in head.rstrip().split(b"\r\n") if not line.lower().startswith(b"connection:")]
        upstream.write(b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + body)
        answer = await reader.read()
        upstream.close()
        top, _, content = answer.partition(b"\r\n\r\n")
        if fault == "cut":
            writer.write(answer[: len(top) + 4 + len(content) // 2])
        elif fault == "truncated":
            writer.write(response(200, content[: len(content) // 2]))
        elif fault == "slow":
            step = len(answer) // 10 + 1
            for start in range(0, len(answer), step):
                writer.write(answer[start : start + step])
                await writer.drain()
                await asyncio.sleep(0.1)
        else:
            writer.write(answer)


class BatchServer(Endpoint):
    """Files and batches as OpenAI has them; a batch is over when it was looked at `looks` times.

    `script(body)` answers each request: (status, body of the response), or None for no answer at all.
    """

    def __init__(self, script: Callable[[dict[str, Any]], tuple[int, Any] | None], looks: int = 2) -> None:
        super().__init__()
        self._script = script
        self._looks_needed = looks
        self.files: dict[str, list[dict[str, Any]]] = {}
        self.batches: list[list[dict[str, Any]]] = []
        self.metadata: list[dict[str, str]] = []
        self.after_create = ""
        """What happens once a batch is there: "" an answer, "hang" none, "500" an error."""
        self.cuts = 0
        """How many downloads of answers break off half-way."""
        self._looks: Counter[int] = Counter()

    async def handle(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        match method, path.removeprefix("/v1/").split("/"):
            case "POST", ["files"]:
                start = body.index(b"\r\n\r\n", body.index(b"batch.jsonl")) + 4
                lines = body[start : body.index(b"\r\n--", start)].decode().strip().split("\n")
                self.files[name := f"file-{len(self.files)}"] = [json.loads(line) for line in lines]
                self._answer(writer, {"id": name, "object": "file"})
            case "POST", ["batches"]:
                self.batches.append(self.files[json.loads(body)["input_file_id"]])
                self.metadata.append(json.loads(body).get("metadata") or {})
                if self.after_create == "hang":
                    await asyncio.sleep(3600)
                if self.after_create == "500":
                    self.after_create = ""
                    writer.write(response(500, b'{"error": {"message": "oops"}}'))
                    return
                self._answer(writer, self._batch(len(self.batches) - 1))
            case "GET", [listed] if listed.startswith("batches?"):
                self._answer(writer, self._page(parse_qs(listed.partition("?")[2])))
            case "GET", ["batches", name]:
                number = int(name.removeprefix("batch-"))
                self._looks[number] += 1
                self._answer(writer, self._batch(number))
            case "GET", ["files", name, "content"]:
                rows = map(self._row, self.batches[int(name.removeprefix("out-"))])
                lines = [json.dumps(row, ensure_ascii=False) for row in rows if row]
                whole = response(200, "\n".join(lines).encode())
                self.cuts -= (cut := self.cuts > 0)
                writer.write(whole[: len(whole) - 20] if cut else whole)

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """Two batches a page, the newest first, as the API lists them."""
        names = [f"batch-{number}" for number in reversed(range(len(self.batches)))]
        if "after" in query:
            names = names[names.index(query["after"][0]) + 1 :]
        data = [self._batch(int(name.removeprefix("batch-"))) for name in names[:2]]
        last = data[-1]["id"] if data else None
        return {"object": "list", "data": data, "has_more": len(names) > 2, "last_id": last}

    def _batch(self, number: int) -> dict[str, Any]:
        over = self._looks[number] >= self._looks_needed
        common = {"id": f"batch-{number}", "object": "batch", "endpoint": "/v1/chat/completions", "created_at": 0}
        return common | {
            "status": "completed" if over else "in_progress",
            "completion_window": "24h",
            "metadata": self.metadata[number],
            "input_file_id": "file",
            "output_file_id": f"out-{number}" if over else None,
        }

    def _row(self, request: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._script(request["body"])
        if answer is None:
            return None
        return {"custom_id": request["custom_id"], "response": {"status_code": answer[0], "body": answer[1]}}

    def _answer(self, writer: asyncio.StreamWriter, value: Any) -> None:
        writer.write(response(200, json.dumps(value).encode()))
