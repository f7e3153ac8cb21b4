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
from iterpref.clients.openai.serve import _gpus, command, served
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
import http.server, json, os, sys
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
        open({asked!r} + os.environ.get("CUDA_VISIBLE_DEVICES", ""), "a").write(str(os.getpid()) + "\\n")
        self.reply({{"choices": [{{"message": {{"role": "assistant", "content": "No."}}, "finish_reason": "stop"}}]}})
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers).serve_forever()
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
    assert asked.read_text().split()[::2] == ["Qwen/X", "other/X"]  # each with its port


@pytest.mark.parametrize(
    ("arguments", "visible", "expected"),
    [
        pytest.param((), None, ["0", "1"], id="one GPU each"),
        pytest.param((), "4,6,7", ["4", "6"], id="of those that are visible"),
        pytest.param((), "GPU-a,GPU-b", ["GPU-a", "GPU-b"], id="by their names"),
        pytest.param(("--tensor-parallel-size=2",), None, ["0,1", "2,3"], id="two each"),
        pytest.param(("--tensor-parallel-size", "2", "-pp=2"), None, ["0,1,2,3", "4,5,6,7"], id="four each"),
    ],
)
def test_each_server_has_gpus_of_its_own(arguments, visible, expected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _gpus(settings("m", servers=2, serve_args=arguments)) == expected
    assert _gpus(settings("m", serve_args=arguments)) == [None]


def test_fewer_gpus_than_servers_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    asked = settings(tmp_path, servers=2, serve_args=("--tensor-parallel-size=2",))
    with (
        pytest.raises(ClientError, match="servers=2 with 2 GPUs each need 4, but CUDA_VISIBLE_DEVICES=0,1,2 names 3"),
        served(asked, tmp_path / "logs"),
    ):
        pass


def test_servers_are_for_serve() -> None:
    with pytest.raises(ValueError, match="servers is how many vllm are started; set serve: vllm"):
        OpenAIConfig(model="m", servers=8)
    assert settings("m", servers=8).at_a_time == 8 * 64


def test_one_of_several_that_ends_early_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"#!{sys.executable}\nimport os, sys, time\n"
    text += "if os.environ['CUDA_VISIBLE_DEVICES'] == '1': sys.exit('CUDA out of memory')\ntime.sleep(600)\n"
    install(tmp_path, text, monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with (
        pytest.raises(ClientError, match=r"vllm ended with status 1 before it was ready:\n.*CUDA out of memory"),
        served(settings(tmp_path, servers=2), tmp_path / "logs"),
    ):
        pass


def test_calls_of_a_server_that_dies_go_to_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three, of which one is killed when it has answered a few; none of the calls fails or is counted as an attempt."""
    asked = tmp_path / "asked"
    install(tmp_path, ANSWERS.format(python=sys.executable, asked=str(asked)), monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    told = as_messages("Write x.")
    requests = [Request(messages=told, sampling=Sampling(temperature=1.0), sample_index=n) for n in range(60)]

    async def ask(client: OpenAIClient, some: list[Request]) -> list[str]:
        return [completion.text for completion in await asyncio.gather(*map(client.complete, some))]

    with served(settings("m", servers=3, max_attempts=1), tmp_path / "logs") as endpoint:
        assert len(endpoint.urls) == 3

        async def all_of_them() -> list[str]:
            client = OpenAIClient(endpoint)
            first = await ask(client, requests[:30])
            pids = {gpu: Path(f"{asked}{gpu}").read_text().split() for gpu in "456"}
            assert all(len(answered) >= 5 for answered in pids.values()), "all three share the load"
            os.kill(int(pids["5"][0]), 9)
            return first + await ask(client, requests[30:])

        texts = asyncio.run(all_of_them())
    assert texts == ["No."] * 60
    counts = {gpu: len(Path(f"{asked}{gpu}").read_text().split()) for gpu in "456"}
    assert sum(counts.values()) == 60
    assert counts["5"] < min(counts["4"], counts["6"])
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"vllm-1.log", "vllm-2.log", "vllm-3.log"}


def test_debugging_is_spread_over_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    install(tmp_path, ANSWERS.format(python=sys.executable, asked=str(asked)), monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with Store.open(tmp_path / "run") as store:
        store.put_tasks(playground_tasks("train", 8))
    values = ("client.kind=openai", "client.model=m", "client.serve=vllm", "client.servers=2",
              "debugging.max_iterations=0")  # fmt: skip
    words = [word for value in values for word in ("--set", value)]
    line = [sys.executable, "-m", "iterpref", "debug", "--run", str(tmp_path / "run"), *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [len(Path(f"{asked}{gpu}").read_text().split()) for gpu in "01"] == [4, 4]
