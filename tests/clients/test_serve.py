"""`serve: vllm` against a stand-in command of the same name, with a real server behind it."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from iterpref.clients import Request, Sampling
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.client import OpenAIClient
from iterpref.clients.openai.serve import command, served
from iterpref.errors import ClientError
from iterpref.playground.tasks import playground_tasks
from iterpref.records import as_messages
from iterpref.store import Store

STAND_IN = """#!{python}
import os, sys
_, verb, model, *options = sys.argv
assert verb == "serve" and "--dtype=float32" in options, sys.argv
port = options[options.index("--port") + 1]
host = options[options.index("--host") + 1]
open({calls!r}, "a").write(" ".join(sys.argv[1:]) + "\\n" + str(os.getpid()))
transformers = os.path.join(os.path.dirname({python!r}), "transformers")
os.execv(transformers, ["transformers", "serve", "--device", "cpu", "--dtype", "float32",
                        "--host", host, "--port", port, model])
"""

ANSWERS = """#!{python}
import http.server, json, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply({{"data": [{{"id": sys.argv[2]}}]}})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        open({asked!r}, "a").write(sys.argv[2] + "\\n")
        self.reply({{"choices": [{{"message": {{"role": "assistant", "content": "No."}}, "finish_reason": "stop"}}]}})
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers).serve_forever()
"""


def install(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "bin" / "vllm"
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}{os.pathsep}{os.environ['PATH']}")


def settings(model: object, **values: object) -> OpenAIConfig:
    return OpenAIConfig(model=str(model), serve="vllm", **values)  # type: ignore[arg-type]


def test_the_command_line() -> None:
    asked = settings("models/a", lora="models/b", serve_args=("--tensor-parallel-size=2",))
    assert command(asked, 5) == [
        "vllm", "serve", "models/a", "--host", "127.0.0.1", "--port", "5", "--generation-config", "vllm",
        "--enable-lora", "--lora-modules", "lora=models/b", "--max-lora-rank", "8", "--tensor-parallel-size=2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("adapter", "most"),
    [
        pytest.param({"r": 16}, "16", id="vLLM's own bound"),
        pytest.param({"r": 24}, "32", id="rounded up to what vLLM takes"),
        pytest.param({"r": 8, "rank_pattern": {"q_proj": 64}}, "64", id="one layer's"),
        pytest.param({"r": 1024}, "512", id="more than vLLM takes, which then says so"),
    ],
)
def test_defect_vllm_refuses_an_adapter_of_more_than_rank_16(
    tmp_path: Path, adapter: dict[str, object], most: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    line = command(settings("models/a", lora=str(tmp_path)), 5)
    assert line[line.index("--max-lora-rank") + 1] == most


@pytest.mark.slow
def test_a_served_model_answers_and_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from iterpref.playground.coder import coder_path

    calls = tmp_path / "calls"
    install(tmp_path, STAND_IN.format(python=sys.executable, calls=str(calls)), monkeypatch)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    [task] = playground_tasks("train", 1)
    request = Request(messages=as_messages(task.prompt), sampling=Sampling(temperature=0, max_tokens=64))
    with served(settings(coder_path(), serve_args=("--dtype=float32",)), tmp_path / "logs") as endpoint:
        client = OpenAIClient(endpoint)
        completion = asyncio.run(client.complete(request))
        assert "def solve" in completion.text
        line, pid = calls.read_text().split("\n")
        assert line.startswith(f"serve {coder_path()} --host 127.0.0.1 --port ")
        assert client.name.startswith("openai:coder:")
        assert str(endpoint.base_url).split(":")[-1].split("/")[0] not in client.name  # another port, the same ledger
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_server_that_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, f"#!{sys.executable}\nimport sys\nsys.exit('CUDA out of memory')\n", monkeypatch)
    with (
        pytest.raises(ClientError, match=r"vllm ended with status 1 before it was ready:\n.*CUDA out of memory"),
        served(settings(tmp_path), tmp_path / "logs"),
    ):
        pass


def test_a_server_that_is_never_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, f"#!{sys.executable}\nimport time\ntime.sleep(600)\n", monkeypatch)
    with (
        pytest.raises(ClientError, match=r"not ready after client\.serve_start_s=0\.5 s"),
        served(settings(tmp_path, serve_start_s=0.5), tmp_path / "logs"),
    ):
        pass


def test_vllm_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClientError, match="there is no command vllm"), served(settings(tmp_path), tmp_path / "logs"):
        pass


def test_defect_8_models_of_two_owners_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    install(tmp_path, ANSWERS.format(python=sys.executable, asked=str(asked)), monkeypatch)
    with Store.open(tmp_path / "run") as store:
        store.put_tasks(playground_tasks("train", 1))
    for model in ("Qwen/X", "other/X"):
        values = ("client.kind=openai", f"client.model={model}", "client.serve=vllm", "debugging.max_iterations=0")
        words = [word for value in values for word in ("--set", value)]
        line = [sys.executable, "-m", "iterpref", "debug", "--run", str(tmp_path / "run"), *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert asked.read_text().split() == ["Qwen/X", "other/X"]
