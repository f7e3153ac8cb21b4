"""The same benchmark tasks through a real server: what is answered, how it ends, what it scores, whose texts are equal.

    python benchmarks/servers.py --model MODEL --url http://127.0.0.1:8000/v1 --path FILE --json a.json
    python benchmarks/servers.py --model FOLDER --set serve=vllm --path FILE --json b.json --against a.json
    python benchmarks/servers.py --model MODEL --url http://127.0.0.1:8000/v1 --checks --json checks.json

Greedy, one sample a task, with `--set` for any further key of `evaluation.client`. FILE holds the benchmark's rows
(humanevalplus-v0.1.10.jsonl.gz); without it its release is downloaded. `--run` keeps the run folder, so that a stopped
measurement goes on. `--checks` asks no tasks, but for what else the client needs of a server (server_checks.py).
Scores of so few tasks compare servers, not models.
"""

import argparse
import asyncio
import collections
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from server_checks import run_checks

from iterpref.clients import Client, Completion, Request
from iterpref.clients.openai import OpenAIConfig
from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.errors import ClientError
from iterpref.evaluation import GeneratedAnswers, TaskChoice, evaluate, load_benchmark
from iterpref.opened_run import OpenedRun
from iterpref.records import Result
from iterpref.store import Store


class Watched:
    """A client, and what became of each call that reached it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.name = client.name
        self.answered: list[Completion] = []
        self.seconds: list[float] = []
        self.failed: list[str] = []

    async def complete(self, request: Request) -> Completion:
        started = time.monotonic()
        try:
            completion = await self._client.complete(request)
        except ClientError as error:
            self.failed.append(f"{type(error).__name__}: {error}")
            raise
        self.answered.append(completion)
        self.seconds.append(time.monotonic() - started)
        return completion

    def close(self) -> None:
        self._client.close()


def main() -> None:
    options = arguments()
    config = configuration(options)
    with tempfile.TemporaryDirectory() as folder, Store.open(options.run or folder) as store:
        run = OpenedRun(store, config)
        found = checks(run, options) if options.checks is not None else tasks(run, options)
    if options.against and "texts" in found:
        found["equal_to"] = equality(found, json.loads(options.against.read_text()), str(options.against))
    print(json.dumps({key: value for key, value in found.items() if key != "texts"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the server's name of the model; with serve=vllm a folder or id")
    parser.add_argument("--url", help="the server's address up to /v1")
    parser.add_argument("--local", action="store_true", help="load the model in this process instead")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of evaluation.client")
    parser.add_argument("--benchmark", default="humaneval+")
    parser.add_argument("--path", help="local file of the benchmark")
    parser.add_argument("--protocol", default="chat", choices=["chat", "plain", "base"])
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--run", type=Path, help="run folder to keep")
    parser.add_argument("--against", type=Path, help="another server's JSON, whose texts are compared")
    parser.add_argument("--checks", nargs="*", metavar="NAME", help="only these of server_checks.py; default: all")
    parser.add_argument("--too-long", type=int, default=40_000, help="tokens of the prompt too long of --checks")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def configuration(options: argparse.Namespace) -> Config:
    client = [f"kind={'local' if options.local else 'openai'}", f"model={options.model}", *options.set]
    if options.url:
        client.append(f"base_url={options.url}")
    said = {
        "benchmark": options.benchmark,
        "path": options.path,
        "protocol": options.protocol,
        "tasks": options.tasks,
        "sampling.max_tokens": options.max_tokens,
    }
    keys = [f"{key}={value}" for key, value in said.items() if value is not None]
    return load_config(None, [f"evaluation.{key}" for key in (*keys, *(f"client.{key}" for key in client))])


def tasks(run: OpenedRun, options: argparse.Namespace) -> dict[str, Any]:
    """Evaluate; an endpoint that gives up ends it, with its message in `stopped`."""
    settings = run.config.evaluation
    assert settings.client is not None
    started = time.monotonic()
    with run.sandbox() as sandbox:
        benchmark = load_benchmark(settings.benchmark, TaskChoice.of(run.config), path=settings.path, sandbox=sandbox)
        with run.ledger(settings.client) as ledger:
            ready = time.monotonic()
            ledger.client = watched = Watched(ledger.client)
            answers = GeneratedAnswers(ledger, benchmark, run.config)
            work = evaluate(benchmark, answers, run.config, sandbox=sandbox, store=run.store)
            result, stopped = None, ""
            try:
                result = asyncio.run(work)
            except ClientError as error:
                stopped = f"{type(error).__name__}: {error}"
            seconds = time.monotonic() - ready
    about = {"model": answers.name, "protocol": answers.protocol, "benchmark": settings.benchmark}
    return about | {"start_s": round(ready - started, 1)} | summary(watched, result, stopped, seconds)


def summary(watched: Watched, result: Result | None, stopped: str, seconds: float) -> dict[str, Any]:
    """Counts of this process's calls; scores and texts of all, those of an earlier process in `--run` included."""
    tokens = sum(completion.completion_tokens for completion in watched.answered)
    return {
        "tasks": len(result.samples) if result else None,
        "answered": len(watched.answered),
        "failed": collections.Counter(watched.failed),
        "stopped": stopped,
        "finish_reasons": collections.Counter(completion.finish_reason for completion in watched.answered),
        "uncounted": sum(completion.completion_tokens == 0 for completion in watched.answered),
        "prompt_tokens": sum(completion.prompt_tokens for completion in watched.answered),
        "completion_tokens": tokens,
        "seconds": round(seconds, 1),
        "tokens_per_s": round(tokens / seconds, 2),
        "most_seconds": round(max(watched.seconds, default=0.0), 1),
        "metrics": result.metrics if result else {},
        "passed": sum(sample.execution.verdict == "passed" for sample in result.samples) if result else None,
        "texts": {sample.task_id: sample.completion for sample in result.samples} if result else {},
    }


def equality(one: dict[str, Any], other: dict[str, Any], name: str) -> dict[str, Any]:
    """How many texts of the tasks that both have are equal, and where the first difference begins in the others."""
    shared = sorted(one["texts"].keys() & other["texts"].keys())
    differ = {task: first_difference(one["texts"][task], other["texts"][task]) for task in shared}
    differ = {task: place for task, place in differ.items() if place is not None}
    return {"file": name, "tasks": len(shared), "equal": len(shared) - len(differ), "first_difference": differ}


def first_difference(one: str, other: str) -> int | None:
    """Its place in characters; None where the texts are equal up to blanks at their end, which some servers cut."""
    one, other = one.rstrip(), other.rstrip()
    if one == other:
        return None
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def checks(run: OpenedRun, options: argparse.Namespace) -> dict[str, Any]:
    settings = run.config.evaluation.client
    assert isinstance(settings, OpenAIConfig), "checks are of a server"
    return {
        "model": settings.describe(),
        "checks": run_checks(settings, run.store.folder, options.too_long, options.checks),
    }


if __name__ == "__main__":
    main()
