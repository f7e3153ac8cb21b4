"""Begun turns at servers, as `iterpref diagnose` asks for them: one that continues, and those that can't."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from endpoints import BatchServer, Scripted, completion

from iterpref import pipeline
from iterpref.clients import Ledger, Request, Sampling
from iterpref.clients.local.client import LocalClient
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai import batch as batch_module
from iterpref.clients.openai.batch import BatchClient
from iterpref.clients.openai.client import OpenAIClient
from iterpref.config import DiagnosisConfig
from iterpref.config.load import parse_config
from iterpref.diagnosis import DiagnosisProgress
from iterpref.diagnosis.diagnose import Diagnoser
from iterpref.errors import EndpointError
from iterpref.executor import Executor
from iterpref.opened_run import OpenedRun
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import ImportedPair, Message
from iterpref.sandbox import Sandbox
from iterpref.store import Store

TASKS = 3


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Pairs of the references and of the same that end otherwise."""
    with Store.open(tmp_path / "run") as opened:
        tasks = playground_tasks("train", TASKS)
        opened.put_tasks(tasks)
        opened.put_imported_pairs(
            ImportedPair(pair_id=task.task_id, task_id=task.task_id, prompt=str(task.prompt),
                         chosen=f"```python\n{task.reference}\n```",
                         rejected=f"```python\n{str(task.reference).rsplit('return', 1)[0]}return None\n```")
            for task in tasks
        )  # fmt: skip
        pipeline.pair(OpenedRun(opened, parse_config({})))
        assert opened.count_kept_pairs() == TASKS
        yield opened


def diagnose(store: Store, **client: Any) -> DiagnosisProgress:
    asked = {"kind": "openai", "model": "m", **client} if "base_url" in client else client
    greedy = {"samples": 1, "sampling": {"temperature": 0, "max_tokens": 96}}
    values = {"client": asked, "diagnosis": greedy, "sandbox": {"workers": 1}}
    return pipeline.diagnose(OpenedRun(store, parse_config(values)))


class Continuing:
    """The playground's coder behind vLLM's protocol."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1)

    def __call__(self, body: dict[str, Any]) -> tuple[int, Any]:
        turns = tuple(Message.model_validate(turn) for turn in body["messages"])
        begun = turns[-1].role == "assistant"
        if begun and not (body["continue_final_message"] is True and body["add_generation_prompt"] is False):
            return 400, {"error": {"message": "a begun turn was not marked"}}
        sampling = Sampling(temperature=0, max_tokens=body["max_tokens"], stop=tuple(body.get("stop", ())))
        request = Request(messages=turns, sampling=sampling, healed=begun)
        return 200, completion(self._threads.submit(self._answer, request).result())

    def _answer(self, request: Request) -> str:
        model = LocalClient(coder_path())
        try:
            return asyncio.run(model.complete(request)).text
        finally:
            model.close()


def test_a_server_that_continues_gives_what_its_model_does_here(store: Store) -> None:
    with Scripted(Continuing()) as endpoint:
        there = diagnose(store, base_url=endpoint.url)
        asked = endpoint.requests
        assert diagnose(store, base_url=endpoint.url).known == TASKS
        assert endpoint.requests == asked, "nothing is asked twice"
    here = diagnose(store, model="playground")
    assert {f.pair_id: f.places for f in there.found} == {f.pair_id: f.places for f in here.found}
    assert sum(place.passed for found in here.found for place in found.places) > 0
    assert {place.began_anew for found in there.found for place in found.places} == {0}


def refuses(body: dict[str, Any]) -> tuple[int, Any]:
    """As `transformers serve`."""
    return 422, {"detail": "Unexpected fields in the request: {'continue_final_message', 'add_generation_prompt'}"}


def test_a_server_that_refuses_is_one_clear_error(store: Store) -> None:
    with Scripted(refuses) as endpoint:
        with pytest.raises(EndpointError, match=r"ask without a begun turn .*iterpref diagnose can't.*client\.prefill"):
            diagnose(store, base_url=endpoint.url)
        assert endpoint.requests == 1
    assert store.count("calls") == 0 and list(store.diagnoses()) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [("```python\ndef solve(xs):\n    return xs\n```", "began anew with '```python"), ("", "said nothing")],
)
def test_a_server_that_ignores_what_was_begun_costs_one_call(store: Store, answer: str, said: str) -> None:
    with Scripted(lambda _: (200, completion(answer))) as endpoint:
        with pytest.raises(EndpointError, match=rf"it {said}.*client\.prefill"):
            diagnose(store, base_url=endpoint.url, prefill="plain")
        assert endpoint.requests == store.count("calls") == 1
    assert list(store.diagnoses()) == []


def test_answers_that_begin_anew_later_are_left_out(store: Store) -> None:
    """Of a server that continues what it was asked first, and nothing else."""
    answers = iter(["    return 0\n```"])
    anew = completion("```python\ndef solve(xs):\n    return xs\n```")
    with Scripted(lambda _: (200, completion(a) if (a := next(answers, "")) else anew)) as endpoint:
        done = diagnose(store, base_url=endpoint.url)
    places = [place for found in done.found for place in found.places]
    assert all(place.run + place.began_anew == 1 for place in places)
    assert sum(place.run for place in places) <= 3 < len(places)
    assert {found.fall for found in done.found} & {None}


def test_defect_a_begun_turn_in_a_batch_was_not_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the server opened a new turn behind it."""
    monkeypatch.setattr(batch_module, "QUIET_S", 0.05)
    turns = (Message(role="user", content="double x"), Message(role="assistant", content="```python\n"))
    with BatchServer(lambda _: (200, completion("x = 1"))) as server:
        client = BatchClient(OpenAIConfig(model="m", base_url=server.url, batch=True, batch_poll_s=0.02), tmp_path)
        assert asyncio.run(client.complete(Request(messages=turns))).text == "x = 1"
        [[line]] = server.batches
    assert (line["body"]["continue_final_message"], line["body"]["add_generation_prompt"]) == (True, False)


def test_another_way_of_marking_begun_turns_is_another_diagnosis(store: Store) -> None:
    def asked(prefill: str) -> str:
        settings = OpenAIConfig.model_validate({"model": "m", "prefill": prefill})
        ledger = Ledger(OpenAIClient(settings), store, manner=settings.manner)
        with Sandbox(workers=1) as sandbox:
            return Diagnoser(ledger, Executor(sandbox, store), store, DiagnosisConfig()).asked

    assert len({asked("continue_final_message"), asked("prefix"), asked("plain")}) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefill", "said"), [("continue_final_message", "Unexpected fields"), ("plain", "it (said nothing|began anew)")]
)
def test_a_real_server_that_can_not_continue(coder_server: int, store: Store, prefill: str, said: str) -> None:
    """`transformers serve` refuses the keys; unmarked, it ends the begun turn and answers that."""
    url = f"http://127.0.0.1:{coder_server}/v1"
    with pytest.raises(EndpointError, match=said):
        diagnose(store, base_url=url, model=str(coder_path()), prefill=prefill)
    assert list(store.diagnoses()) == []
