"""A server of ours that answers 1,000 times a second: do ledger, store and sandbox keep up, with flat memory?

    python -m benchmarks.endpoint_load --json load.json                # 100,000 calls twice, and 100,000 drafts
    python -m benchmarks.endpoint_load --calls 2000 --drafts 500 --rate 1000

Three phases, each in a run folder of its own. `ledger`: questions that are answered at once in this process, so that
only ledger and store work. `calls`: the same through the client, answered by the server. `drafts`: what `iterpref
synthesize` does, so that each answer is read, its solution run in the sandbox, and the task stored. The server draws a
slot for each answer, `--rate` a second, and answers in it, `--latency` after the question at the earliest; no two
answers are equal. Said at the end, by phase: answers a second, CPU seconds of this process, of the sandbox's and of the
server, resident memory by tenth of the way, size of the database.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iterpref.clients import Completion, Ledger, Request, Sampling, ask_all
from iterpref.config.load import parse_config
from iterpref.opened_run import OpenedRun
from iterpref.store import Store
from iterpref.synthesis.synthesize import synthesize_run
from iterpref.waiting import wait_for

DRAFT = """<instruction>
Write add_{0}(x), which returns x plus {0}. Numbers may be negative, and are of any size.
</instruction>
<file path="solution.py">
def add_{0}(x):
    return x + {0}
</file>
<file path="test_solution.py">
from solution import add_{0}
assert add_{0}(1) == {1}
assert add_{0}(0) == {0}
</file>
<packages>[]</packages>"""


class Answering(asyncio.Protocol):
    """HTTP/1.1 with connections that stay open; any request is answered with the next draft, in the next slot."""

    answered = 0
    slot = 0.0

    def __init__(self, rate: float, latency_s: float) -> None:
        self._rate, self._latency_s = rate, latency_s
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        if not found or len(body) < length:
            return
        self._read = body[length:]
        loop = asyncio.get_running_loop()
        Answering.slot = max(Answering.slot + 1 / self._rate, loop.time())
        loop.call_at(max(Answering.slot, loop.time() + self._latency_s), self._answer)

    def _answer(self) -> None:
        if self._transport.is_closing():
            return
        Answering.answered += 1
        number = Answering.answered
        message = {"role": "assistant", "content": DRAFT.format(number, number + 1)}
        usage = {"prompt_tokens": 200, "completion_tokens": 120, "total_tokens": 320}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        content = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._transport.write(head.encode() + content)


async def _serve(rate: float, latency_s: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Answering(rate, latency_s), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Watch:
    """Resident memory by tenth of the way, and the time and CPU between two moments."""

    def __init__(self, total: int, server: int) -> None:
        self._total, self._server = total, server
        self.memory_mb: list[float] = []
        self._began, self._cpu = time.monotonic(), self._cpus()

    def seen(self, done: int) -> None:
        if done * 10 // self._total > len(self.memory_mb) - 1:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.memory_mb.append(round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1))

    def said(self, done: int, database: Path) -> dict[str, Any]:
        seconds = time.monotonic() - self._began
        cpu = {name: round(after - before, 1) for (name, after), before in
               zip(self._cpus().items(), self._cpu.values(), strict=True)}  # fmt: skip
        size = sum(file.stat().st_size for file in database.parent.glob(f"{database.name}*"))
        return {"done": done, "seconds": round(seconds, 1), "per_second": round(done / seconds, 1), "cpu_s": cpu,
                "memory_mb": self.memory_mb, "database_mb": round(size / 2**20, 1)}  # fmt: skip

    def _cpus(self) -> dict[str, float]:
        """Of this process, its children that have ended (the sandbox's), and the server."""
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        fields = Path(f"/proc/{self._server}/stat").read_text().rpartition(")")[2].split()
        server = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return {"client": own.ru_utime + own.ru_stime, "sandbox": children.ru_utime + children.ru_stime,
                "server": server}  # fmt: skip


def _run(store: Store, url: str, options: argparse.Namespace, show: Callable[..., None]) -> OpenedRun:
    client = {
        "kind": "openai",
        "model": "load",
        "base_url": url,
        "concurrency": options.concurrency,
        "identity": "load",
    }
    values = {"client": client, "synthesis": {"tasks": max(1, options.drafts), "tests": "asserts"}}
    return OpenedRun(store, parse_config(values), show)


class Here:
    """A client that answers at once."""

    name = "here"

    def __init__(self) -> None:
        self._answered = 0

    async def complete(self, request: Request) -> Completion:
        self._answered += 1
        text = DRAFT.format(self._answered, self._answered + 1)
        return Completion(text=text, prompt_tokens=200, completion_tokens=120)

    def close(self) -> None: ...


def ledger(folder: Path, url: str, server: int, options: argparse.Namespace) -> dict[str, Any]:
    """Questions of the length of a draft's, each answered here and stored."""
    with Store.open(folder) as store:
        watch = Watch(options.calls, server)
        opened = Ledger(Here(), store, at_a_time=options.concurrency)
        return watch.said(wait_for(_ask(opened, options.calls, watch)), folder / "run.sqlite")


def calls(folder: Path, url: str, server: int, options: argparse.Namespace) -> dict[str, Any]:
    """The same, answered by the server."""
    with Store.open(folder) as store:
        run = _run(store, url, options, lambda *_: None)
        watch = Watch(options.calls, server)
        with run.ledger(run.config.client) as opened:
            return watch.said(wait_for(_ask(opened, options.calls, watch)), folder / "run.sqlite")


async def _ask(opened: Ledger, total: int, watch: Watch) -> int:
    texts = (f"Task {number}. " + "Write a function with its tests. " * 24 for number in range(total))
    requests = ((number, Request.from_user(text, Sampling())) for number, text in enumerate(texts))
    done = 0
    async for _, answer in ask_all(opened, requests):
        assert not isinstance(answer, Exception), answer
        done += 1
        watch.seen(done)
    return done


def drafts(folder: Path, url: str, server: int, options: argparse.Namespace) -> dict[str, Any]:
    """What `iterpref synthesize` does, from a feature tree to stored tasks."""
    with Store.open(folder) as store:
        watch = Watch(options.drafts, server)

        def show(what: str, done: int, total: int, note: str) -> None:
            if what == "synthesize":
                watch.seen(done)

        progress = synthesize_run(_run(store, url, options, show))
        said = watch.said(progress.done, folder / "run.sqlite")
        return said | {"tasks": store.count_tasks(), "solution_passes": progress.solution_passes,
                       "unusable": progress.unusable, "failed_calls": progress.failed_calls}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--drafts", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="Answers a second.")
    parser.add_argument("--latency", type=float, default=0.25, metavar="S")
    parser.add_argument("--concurrency", type=int, default=512)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve(options.rate, options.latency))
        return
    command = [sys.executable, "-m", "benchmarks.endpoint_load", "--serve", "--rate", str(options.rate)]
    server = subprocess.Popen([*command, "--latency", str(options.latency)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        found: dict[str, Any] = {"asked": {"rate": options.rate, "latency_s": options.latency,
                                           "concurrency": options.concurrency}}  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="endpoint-load-") as folder:
            for phase in (ledger, calls, drafts):
                if options.drafts if phase is drafts else options.calls:
                    found[phase.__name__] = phase(Path(folder, phase.__name__), url, server.pid, options)
                    print(json.dumps({phase.__name__: found[phase.__name__]}), flush=True)
    finally:
        server.terminate()
        server.wait()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
