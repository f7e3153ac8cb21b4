"""Other weights under the same name and address are another model; the same ones are never paid for twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from endpoints import Scripted, completion

from iterpref import pipeline
from iterpref.clients import Request, Sampling, open_ledger
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.serve import _identity
from iterpref.config.load import parse_config
from iterpref.errors import EndpointError
from iterpref.opened_run import OpenedRun
from iterpref.programs import fenced
from iterpref.records import Message, Result, Task, TestFile
from iterpref.store import Store

TASK = Task(task_id="t/1", prompt="Write f(x).", tests=(TestFile(path="t.py", content="assert f(2) == 3"),),
            style="assert", entry_point="f")  # fmt: skip
RIGHT, WRONG = fenced("def f(x):\n    return x + 1"), fenced("def f(x):\n    return x")


class Server:
    """Serves `text` as the model m, and says of it what `card` holds."""

    def __init__(self, endpoint: Scripted, tmp_path: Path) -> None:
        self.endpoint, self._folder = endpoint, tmp_path
        self.benchmark = tmp_path / "own.jsonl"
        self.benchmark.write_text(TASK.model_dump_json() + "\n")

    def says(self, **card: Any) -> None:
        self.endpoint.models = [{"id": "m", "object": "model", "created": 1, "owned_by": "vllm"} | card]

    def evaluate(self, run: str = "run", **client: Any) -> Result:
        asked = {"kind": "openai", "model": "m", "base_url": self.endpoint.url, **client}
        values = {"evaluation": {"benchmark": str(self.benchmark), "client": asked}, "sandbox": {"workers": 1}}
        with Store.open(self._folder / run) as store:
            return pipeline.evaluate(OpenedRun(store, parse_config(values)), str(asked["model"]))


def score(result: Result) -> float:
    return result.metrics["pass@1"]


@pytest.fixture
def text() -> list[str]:
    return [WRONG]


@pytest.fixture
def server(tmp_path: Path, text: list[str]) -> Any:
    with Scripted(lambda _: (200, completion(text[0]))) as endpoint:
        yield Server(endpoint, tmp_path)


def test_defect_7_another_checkpoint_under_the_same_name(server: Server, text: list[str]) -> None:
    """As vLLM says it with --served-model-name; `created` is the time of the question there."""
    server.says(root="/models/step-100", max_model_len=4096)
    first = server.evaluate()
    text[0] = RIGHT
    server.says(root="/models/step-200", max_model_len=4096, created=2)
    second = server.evaluate()
    assert (score(first), score(second)) == (0.0, 1.0)
    assert first.model != second.model
    server.says(root="/models/step-100", max_model_len=8192, created=3)
    assert score(server.evaluate()) == 0.0
    assert server.endpoint.requests == 2, "the first one's answers are still there"


def test_defect_7_a_folder_trained_again_in_place(server: Server, text: list[str], tmp_path: Path) -> None:
    """On this machine, where the folder can be looked into."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"1")
    server.says(root=str(folder))
    assert score(server.evaluate()) == 0.0
    (folder / "model.safetensors").write_bytes(b"2")
    text[0] = RIGHT
    assert score(server.evaluate()) == 1.0


@pytest.mark.parametrize("lists", ["other models", "nothing"])
def test_defect_a_folder_that_the_server_does_not_list(text: list[str], tmp_path: Path, lists: str) -> None:
    """`transformers serve` lists the hub's cache, and answers 500 where there is none; its model is named by folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    weights = folder / "model.safetensors"
    with Scripted(lambda _: (200, completion(text[0]))) as endpoint:
        server = Server(endpoint, tmp_path)
        if lists == "other models":
            endpoint.models = [{"id": "someone/else", "object": "model"}]
        else:
            endpoint.models_status = 500
        weights.write_bytes(b"1")
        assert score(server.evaluate(model=str(folder))) == 0.0
        text[0] = RIGHT
        assert score(server.evaluate(model=str(folder))) == 0.0
        weights.write_bytes(b"2")
        assert score(server.evaluate(model=str(folder))) == 1.0
        assert endpoint.requests == 2


def test_a_file_that_is_served(server: Server, text: list[str], tmp_path: Path) -> None:
    """llama.cpp's Python server names its model by the GGUF file."""
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"1")
    server.endpoint.models = [{"id": str(gguf), "object": "model", "owned_by": "me", "permissions": []}]
    assert score(server.evaluate(model=str(gguf))) == 0.0
    gguf.write_bytes(b"2")
    text[0] = RIGHT
    assert score(server.evaluate(model=str(gguf))) == 1.0


def test_calls_of_earlier_versions_stay_those_of_the_model_that_is_served(server: Server, text: list[str]) -> None:
    server.evaluate()  # as then: nothing is known of the weights
    server.says(root="/models/step-100")
    text[0] = RIGHT
    assert score(server.evaluate()) == 0.0
    assert server.endpoint.requests == 1
    server.says(root="/models/step-200")
    assert score(server.evaluate()) == 1.0


def test_a_finished_run_needs_no_server(tmp_path: Path) -> None:
    with Scripted(lambda _: (200, completion(WRONG))) as endpoint:
        server = Server(endpoint, tmp_path)
        server.says(root="/models/step-100")
        first = server.evaluate()
    assert server.evaluate().model == first.model


@pytest.mark.parametrize("change", [{"revision": "2024-08-01"}, {"identity": "other"}])
def test_what_the_user_says_of_the_weights(server: Server, text: list[str], change: dict[str, str]) -> None:
    server.evaluate()
    text[0] = RIGHT
    assert score(server.evaluate()) == 0.0
    assert score(server.evaluate(**change)) == 1.0


@pytest.mark.parametrize(("level", "asked"), [("model", 1), ("system", 2), ("text", 3)])
def test_what_answers_a_question_tells_models_apart(tmp_path: Path, level: str, asked: int) -> None:
    """Three changes behind one name, of which a level sees the first, the first two or all; each asks anew."""
    answers = [("m-2025-01-01", "fp_1", "a"), ("m-2025-06-01", "fp_1", "a"), ("m-2025-06-01", "fp_2", "a"),
               ("m-2025-06-01", "fp_2", "b")]  # fmt: skip
    now = list(answers[0])

    def script(body: dict[str, Any]) -> tuple[int, Any]:
        probe = "reverses" in body["messages"][0]["content"]
        return 200, completion(now[2] if probe else "x") | {"model": now[0], "system_fingerprint": now[1]}

    request = Request.from_user("Write f(x).", Sampling())
    with Store.open(tmp_path / "run") as store:
        with Scripted(script) as endpoint:
            settings = OpenAIConfig.model_validate({"model": "m", "base_url": endpoint.url, "fingerprint": level})
            for now[:] in (*answers, answers[-1]):
                with open_ledger(settings, store) as ledger:
                    asyncio.run(ledger.complete(request))
            probes = sum("reverses" in body["messages"][0]["content"] for body in endpoint.seen)
            assert (probes, len(endpoint.seen) - probes) == (5, 1 + asked)
        with open_ledger(settings, store) as ledger:  # nobody answers now: what it served last
            asyncio.run(ledger.complete(request))
            assert ledger.paid == 0


def test_a_question_that_is_refused(tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> tuple[int, Any]:
        refused = {"error": {"message": "use max_completion_tokens", "param": "max_tokens"}}
        return (400, refused) if "max_tokens" in body else (200, completion("x") | {"model": "m-1"})

    with Scripted(script) as endpoint:
        settings = OpenAIConfig(model="m", base_url=endpoint.url, fingerprint="text")
        assert settings.weights() and len(endpoint.seen) == 2
    with Scripted(lambda _: (401, {})) as endpoint, Store.open(tmp_path / "run") as store:
        settings = OpenAIConfig(model="m", base_url=endpoint.url, fingerprint="model")
        refused = pytest.raises(EndpointError, match=r"client.fingerprint was refused \(status 401\)")
        with refused, open_ledger(settings, store):
            pass


def test_defect_7_another_way_to_begin_a_turn(tmp_path: Path) -> None:
    """Other answers to begun turns, and to no other request."""
    plain = Request.from_user("Write f(x).", Sampling())
    begun = Request(messages=(*plain.messages, Message(role="assistant", content="```python\n")))
    with Scripted(lambda _: (200, completion("x"))) as endpoint, Store.open(tmp_path / "run") as store:
        for prefill, asked in (("continue_final_message", 2), ("prefix", 3), ("prefix", 3), ("plain", 4)):
            settings = OpenAIConfig.model_validate({"model": "m", "base_url": endpoint.url, "prefill": prefill})
            with open_ledger(settings, store) as ledger:
                for request in (plain, begun):
                    asyncio.run(ledger.complete(request))
            assert endpoint.requests == asked


def test_hub_ids_of_two_owners_are_two() -> None:
    assert _identity("Qwen/X", None) != _identity("other/X", None)


@pytest.mark.parametrize(("root", "said"), [("/models/b", 1), ("/models/a", 0), (None, 0)])
def test_addresses_that_serve_other_weights_are_told(root: str | None, said: int, caplog: Any) -> None:
    with Scripted(lambda _: (200, completion(""))) as one, Scripted(lambda _: (200, completion(""))) as other:
        one.models = [{"id": "m", "root": "/models/a"}]
        other.models = [{"id": "m", "root": root}] if root else None
        away = "http://127.0.0.1:9/v1"
        OpenAIConfig(model="m", base_url=(one.url, other.url, away)).weights()
    expected = f"{one.url} serves m with root /models/a, but {other.url} with /models/b; if these are other weights"
    assert [expected in message for message in caplog.messages] == [True] * said
