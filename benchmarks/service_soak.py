"""Many requests to `iterpref serve` from many connections, while its workers are killed: is any lost, doubled, or kept?

    python -m benchmarks.service_soak --json soak.json                        # 10,000 requests, 64 connections
    python -m benchmarks.service_soak --requests 200000 --kill-every 5

Every job returns its own number, one in ten a wrong one, one in a hundred loops for ever; an answer must be of its own
job. Said at the end: answers by verdict, requests a second, the service's memory by tenth of the way, processes and
folders left behind. The client asks again where all places are taken (429) or the sandbox broke.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

BROKEN_TRIES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--kill-every", type=float, default=1.0, metavar="S", help="Kill a worker so often; 0: never.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    before = set(Path(tempfile.gettempdir()).iterdir())
    process, url = _service(options.connections)
    try:
        found = asyncio.run(_soak(url, process.pid, options))
    finally:
        children = _descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=60)
    time.sleep(1.0)
    found["exit_status"] = status
    found["processes_left"] = sum(Path(f"/proc/{pid}").exists() for pid in children)
    found["folders_left"] = sorted(str(path) for path in set(Path(tempfile.gettempdir()).iterdir()) - before)
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def _service(connections: int) -> tuple["subprocess.Popen[str]", str]:
    """Fewer places than connections, so that some are sent away."""
    command = [sys.executable, "-m", "iterpref", "serve", "--port", "0", "--queue", str(connections // 2)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    said = process.stderr.readline()
    if not said.startswith("serving on "):
        sys.exit(f"error: the service did not start: {said}{process.stderr.read()}")
    return process, said.split()[2]


async def _soak(url: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    answers: Counter[str] = Counter()
    again: Counter[str] = Counter()
    memory: list[int] = []
    numbers = iter(range(options.requests))
    began = time.monotonic()

    async def connection(client: httpx2.AsyncClient) -> None:
        for number in numbers:
            if number % max(1, options.requests // 10) == 0:
                memory.append(_memory(pid))
            answers[await _one(client, url, number, again)] += 1

    killer = asyncio.create_task(_kill(pid, options.kill_every))
    limits = httpx2.Limits(max_connections=options.connections)
    async with httpx2.AsyncClient(limits=limits, timeout=120.0) as client:
        await asyncio.gather(*(connection(client) for _ in range(options.connections)))
        seconds = time.monotonic() - began
        metrics = (await client.get(f"{url}/metrics")).text
    killer.cancel()
    memory.append(_memory(pid))
    return {
        "requests": options.requests,
        "answers": dict(sorted(answers.items())),
        "asked_again": dict(sorted(again.items())),
        "killed": KILLED["workers"],
        "per_second": round(options.requests / seconds, 1),
        "memory_mib": memory,
        "still_admitted": next(line for line in metrics.splitlines() if line.startswith("iterpref_admitted_jobs ")),
    }


async def _one(client: httpx2.AsyncClient, url: str, number: int, again: Counter[str]) -> str:
    """What became of one request: its verdict, where that is right; else what is wrong with it."""
    wrong, endless = number % 10 == 3, number % 100 == 7
    body = "while True:\n        pass" if endless else f"return {-number if wrong else number}"
    call = json.dumps({"args": "()", "expected": str(number)})
    job = {"program": f"def f():\n    {body}", "tests": [{"path": "calls.jsonl", "content": call}], "style": "calls",
           "entry_point": "f", "limits": {"cpu_s": 0.2, "wall_s": 5.0}}  # fmt: skip
    broken = 0
    while True:
        answer = await client.post(f"{url}/jobs?retry_timeout=false", json=job)
        if answer.status_code != 429:
            verdict = answer.json().get("verdict", f"status {answer.status_code}")
            broken += verdict == "sandbox_error"
            if verdict != "sandbox_error" or broken == BROKEN_TRIES:
                break
            again["sandbox_error"] += 1
        else:
            again["429"] += 1
            await asyncio.sleep(random.uniform(0.01, 0.1))
    expected = "timeout" if endless else "failed" if wrong and number else "passed"
    case = answer.json().get("failing_case")
    own = verdict != "failed" or (case and case["got"] == str(-number))
    return verdict if verdict == expected and own else f"{verdict} instead of {expected}"


KILLED: Counter[str] = Counter()


async def _kill(pid: int, every_s: float) -> None:
    """SIGKILL to a random launcher or zygote; who kills a run itself has made it crash."""
    while every_s:
        await asyncio.sleep(every_s)
        if below := _descendants(pid, depth=2):
            with contextlib.suppress(OSError):
                os.kill(random.choice(below), signal.SIGKILL)
                KILLED["workers"] += 1


def _descendants(pid: int, depth: int = 9) -> list[int]:
    found: list[int] = []
    if not depth:
        return found
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, file.read_text().split()):
                found += [child, *_descendants(child, depth - 1)]
    return found


def _memory(pid: int) -> int:
    """MiB of the service's own process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) >> 10


if __name__ == "__main__":
    main()
