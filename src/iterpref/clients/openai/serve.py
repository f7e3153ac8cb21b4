"""A `vllm serve` process of our own for a checkpoint or a LoRA, on 127.0.0.1 only: started, awaited, stopped."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from iterpref.errors import ClientError
from iterpref.model_identity import folder_identity
from iterpref.records import fingerprint

if TYPE_CHECKING:
    from iterpref.clients.openai import OpenAIConfig

LORA_NAME = "lora"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those of `--max-lora-rank`, which is 16 unless said


@contextmanager
def served(settings: "OpenAIConfig", log_folder: Path) -> "Iterator[OpenAIConfig]":
    """Serve `settings.model` while the context lasts; yields settings with its base_url, model name and identity.

    Raises:
        ClientError: vLLM is not installed, ended early, or is not ready within `serve_start_s`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log_folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / "vllm.log"
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command(settings, port), stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
            )
        except FileNotFoundError:
            raise ClientError("client.serve is vllm, but there is no command vllm; pip install vllm") from None
    try:
        _await_ready(process, port, settings.serve_start_s, log)
        values = {
            "base_url": f"http://127.0.0.1:{port}/v1",
            "model": LORA_NAME if settings.lora else settings.model,
            # The port differs every time, and a folder may be trained again in place.
            "identity": settings.identity or _identity(settings.model, settings.lora),
        }
        yield settings.model_copy(update=values)
    finally:
        _stop(process)


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


def _await_ready(process: subprocess.Popen[bytes], port: int, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ClientError(f"vllm ended with status {process.returncode} before it was ready:\n{_tail(log)}")
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            if reply.status == 200:
                return
        time.sleep(0.2)
    advice = f"raise it, or see {log}:\n{_tail(log)}"
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
