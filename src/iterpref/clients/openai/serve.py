"""`vllm serve` processes of our own for a checkpoint or a LoRA, on 127.0.0.1 only: started, awaited, stopped."""

import json
import math
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from iterpref.errors import ClientError
from iterpref.model_identity import folder_identity
from iterpref.records import fingerprint

if TYPE_CHECKING:
    from iterpref.clients.openai import OpenAIConfig

LORA_NAME = "lora"
# Arguments that put one server on several GPUs.
_OF_SEVERAL = {
    "--tensor-parallel-size": "tensors",
    "-tp": "tensors",
    "--pipeline-parallel-size": "layers",
    "-pp": "layers",
    "--data-parallel-size": "copies",
    "-dp": "copies",
}
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those of `--max-lora-rank`, which is 16 unless said


class _Server(NamedTuple):
    process: subprocess.Popen[bytes]
    port: int
    log: Path


@contextmanager
def served(settings: "OpenAIConfig", log_folder: Path) -> "Iterator[OpenAIConfig]":
    """Serve `settings.model` while the context lasts; yields settings with base_url, model name and identity.

    With `servers` that many processes do, each on GPUs of its own. One that ends later costs nothing but its part of
    the speed: its calls go to the others (client.py).

    Raises:
        ClientError: vLLM is not installed, there are too few GPUs, one ended early, or is not ready within
            `serve_start_s`.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        servers = []
        for number, (port, gpus) in enumerate(zip(_free_ports(settings.servers), _gpus(settings), strict=True), 1):
            log = log_folder / (f"vllm-{number}.log" if settings.servers > 1 else "vllm.log")
            servers.append(_Server(_start(settings, port, gpus, log), port, log))
            stack.callback(_stop, servers[-1].process)
        deadline = time.monotonic() + settings.serve_start_s
        for server in servers:
            _await_ready(server, servers, deadline, settings.serve_start_s)
        urls = tuple(f"http://127.0.0.1:{server.port}/v1" for server in servers)
        values = {
            "base_url": urls[0] if len(urls) == 1 else urls,
            "model": LORA_NAME if settings.lora else settings.model,
            # The port differs every time, and a folder may be trained again in place.
            "identity": settings.identity or _identity(settings.model, settings.lora),
        }
        yield settings.model_copy(update=values)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:  # all at once, so that they differ
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in sockets]


def _gpus(settings: "OpenAIConfig") -> list[str | None]:
    """What each server gets as CUDA_VISIBLE_DEVICES: its part of what is visible here; None leaves a single one all."""
    count, each = settings.servers, _gpus_of_one(settings.serve_args)
    if count == 1:
        return [None]
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = [str(n) for n in range(count * each)] if given is None else [n for n in given.split(",") if n.strip()]
    if len(visible) < count * each:
        raise ClientError(
            f"client.servers={count} with {each} GPU{'s' * (each > 1)} each need {count * each}, but "
            f"CUDA_VISIBLE_DEVICES={given} names {len(visible)}; lower client.servers, or show more GPUs"
        )
    return [",".join(visible[at * each : (at + 1) * each]) for at in range(count)]


def _gpus_of_one(arguments: Sequence[str]) -> int:
    """How many GPUs one `vllm serve` with these arguments takes."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    found = {_OF_SEVERAL[name]: int(n) for name, n in pairwise(words) if name in _OF_SEVERAL and n.isdigit()}
    return math.prod(found.values())


def _start(settings: "OpenAIConfig", port: int, gpus: str | None, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})}
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                command(settings, port),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        except FileNotFoundError:
            raise ClientError("client.serve is vllm, but there is no command vllm; pip install vllm") from None


def command(settings: "OpenAIConfig", port: int) -> list[str]:
    # Requests alone say how to sample; else the model's generation_config.json adds its top_k, repetition penalty, ...
    line = ["vllm", "serve", settings.model, "--host", "127.0.0.1", "--port", str(port), "--generation-config", "vllm"]
    if settings.lora:
        rank = next((most for most in RANKS if most >= _rank(Path(settings.lora))), RANKS[-1])
        line += ["--enable-lora", "--lora-modules", f"{LORA_NAME}={settings.lora}", "--max-lora-rank", str(rank)]
    return [*line, *settings.serve_args]


def _rank(lora: Path) -> int:
    """The greatest rank of an adapter; 0 for one that isn't a folder here."""
    config = lora / "adapter_config.json"
    values = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return int(max([values.get("r") or 0, *(values.get("rank_pattern") or {}).values()]))


def _await_ready(server: _Server, started: Sequence[_Server], deadline: float, seconds: float) -> None:
    while time.monotonic() < deadline:
        for each in started:  # one that can't start ends the wait for all
            if each.process.poll() is not None:
                status = each.process.returncode
                raise ClientError(f"vllm ended with status {status} before it was ready:\n{_tail(each.log)}")
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=5) as reply:
            if reply.status == 200:
                return
        time.sleep(0.2)
    advice = f"raise it, or see {server.log}:\n{_tail(server.log)}"
    raise ClientError(f"vllm is not ready after client.serve_start_s={seconds:g} s; {advice}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end; then end it, with all that it started."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _identity(model: str, lora: str | None) -> str:
    """Names of the model and the LoRA, and what their folders hold, so that a retrained one differs."""
    folders = [model, lora] if lora else [model]
    names = "+".join(Path(folder).name for folder in folders)
    return f"{names}:{fingerprint([folder_identity(folder) for folder in folders])[:12]}"


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:].strip() if log.is_file() else ""
