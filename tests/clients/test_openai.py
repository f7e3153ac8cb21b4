import asyncio
import gc
import socket
from pathlib import Path
from typing import Any

import pytest
from endpoints import FAULTS, FaultyProxy, Scripted, completion

from iterpref.clients import Completion, Request, Sampling
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai import client as client_module
from iterpref.clients.openai import failures as failures_module
from iterpref.clients.openai.client import OpenAIClient
from iterpref.clients.openai.reply import split_reasoning
from iterpref.errors import ClientError, EndpointError, RefusedError
from iterpref.records import Message

CANARY = "sk-canary-0123456789"
REQUEST = Request(messages=(Message(role="user", content="double x"),))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setattr(failures_module, "FIRST_WAIT_S", 0.01)  # the same waits, fifty times shorter


def ask(url: str | tuple[str, ...], *requests: Request, model: str = "m", **settings: Any) -> list[Completion]:
    client = OpenAIClient(OpenAIConfig(model=model, base_url=url, **{"max_attempts": 3, **settings}))

    async def all_at_once() -> list[Completion]:
        return await asyncio.gather(*(client.complete(request) for request in requests or [REQUEST]))

    return asyncio.run(all_at_once())


def test_the_request_and_the_answer() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, seed=3)
    request = REQUEST.model_copy(update={"sampling": sampling})
    with Scripted(lambda _: (200, completion("hi", finish_reason="length"))) as endpoint:
        [answer] = ask(endpoint.url, request, extra_body={"top_k": 4})
        ask(endpoint.url, request.model_copy(update={"sample_index": 1}))
        ask(endpoint.url, request.model_copy(update={"sampling": Sampling(temperature=0)}))
    assert answer == Completion(text="hi", finish_reason="length", prompt_tokens=10, completion_tokens=5)
    first, second, greedy = endpoint.seen
    seed = first.pop("seed")
    assert seed != second["seed"]
    assert first == {
        "model": "m",
        "messages": [{"role": "user", "content": "double x"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "top_k": 4,
    }
    assert greedy["temperature"] == 0
    assert "seed" not in greedy


@pytest.mark.parametrize(
    ("status", "answer", "settings", "error", "message", "requests"),
    [
        pytest.param(500, {}, {}, ClientError, r"status 500.*\(3 of 3 attempts\)", 3, id="500 for ever"),
        pytest.param(200, b"<html>", {}, ClientError, "no chat completion; it begins with b'<html>'", 3, id="nonsense"),
        pytest.param(200, b'{"choices": [{"mes', {}, ClientError, "no chat completion", 3, id="truncated"),
        pytest.param(200, {"choices": []}, {}, ClientError, "holds no choice", 3, id="no choice"),
        pytest.param(400, {"error": {"message": "too long"}}, {}, RefusedError, "too long", 1, id="bad request"),
        pytest.param(401, {"error": {"message": "no"}}, {}, EndpointError, "the key in OPENAI_API_KEY", 1, id="key"),
        pytest.param(404, {"error": {"message": "m?"}}, {}, EndpointError, "check client.base_url", 1, id="model"),
        pytest.param(
            429, {"error": {"message": "insufficient_quota"}}, {}, EndpointError, "insufficient_quota", 1, id="no money"
        ),
    ],
)
def test_what_can_not_be_answered(
    status: int, answer: Any, settings: dict, error: type[Exception], message: str, requests: int
) -> None:
    with Scripted(lambda _: (status, answer)) as endpoint:
        with pytest.raises(error, match=message) as raised:
            ask(endpoint.url, **settings)
        assert type(raised.value) is error
        assert endpoint.requests == requests  # the SDK retries nothing by itself


def test_429_for_ever_is_waited_out_and_then_given_up() -> None:
    with Scripted(lambda _: (429, {}), headers="Retry-After: 0.1\r\n") as endpoint:
        with pytest.raises(EndpointError, match=r"throttled for longer than client.give_up_s=2"):
            ask(endpoint.url, give_up_s=2)
        assert 2 <= endpoint.requests <= 21  # fewer on a busy machine
    with Scripted(lambda _: (429, {}), headers="Retry-After: 3600\r\n") as endpoint:
        with pytest.raises(EndpointError, match="asks to wait 3600 s"):
            ask(endpoint.url)
        assert endpoint.requests == 1


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(
            EndpointError, match=r"nothing answers there: the connection failed \(connection refused\) \(3 attempts\)"
        ):
            ask(url)


def test_bad_input_attempts_are_fewer_where_nothing_ever_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "backoff", lambda attempt: 0.01)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(ClientError) as raised:
            ask(url, max_attempts=8)
    assert "(5 attempts)" in str(raised.value)
    assert isinstance(raised.value, EndpointError), "one such call stops the step"


def test_a_hang_ends_at_the_timeout() -> None:
    with FaultyProxy(1, rate=1, faults=["hang"]) as endpoint:
        with pytest.raises(ClientError, match="no answer in time"):
            ask(endpoint.url, timeout_s=1.0)
        assert endpoint.requests == 3


def test_defect_clients_that_are_dropped_within_a_loop() -> None:
    """Their connections stay until the loop ends; closed by the garbage collector, they broke the next request."""

    problems: list[str] = []

    async def one_client_a_request(url: str) -> list[str]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context["message"]))
        texts = []
        for number in range(20):
            client = OpenAIClient(OpenAIConfig(model="m", base_url=url))
            texts.append((await client.complete(REQUEST.model_copy(update={"sample_index": number}))).text)
            del client
            gc.collect()
        return texts

    with Scripted(lambda _: (200, completion("ok"))) as endpoint:
        assert asyncio.run(one_client_a_request(endpoint.url)) == ["ok"] * 20
    assert problems == []


def test_refused_parameters_are_left_out() -> None:
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        if "temperature" in body:
            said = {"message": "Unsupported value: 'temperature' does not support 0.8", "param": "temperature"}
            return 400, {"error": said}
        if "max_tokens" in body:
            return 400, {"error": {"message": "max_tokens is not supported, use 'max_completion_tokens' instead"}}
        return 200, completion("ok")

    with Scripted(picky) as endpoint:
        refused = pytest.warns(RuntimeWarning, match="refuses temperature")
        with refused, pytest.warns(RuntimeWarning, match="refuses max_tokens"):
            [answer] = ask(endpoint.url)
        assert answer.text == "ok"
        assert endpoint.requests == 3
        assert endpoint.seen[-1]["max_completion_tokens"] == 1024


OPENAI = "Invalid 'stop': array too long. Expected an array with maximum length 4, but got one with length 6 instead."
VLLM = "1 validation error: {'type': 'too_long', 'loc': 'body.stop', 'msg': 'List should have at most 4 items'}"


@pytest.mark.parametrize(("said", "param"), [(OPENAI, "stop"), (OPENAI, None), (VLLM, "body.stop"), (VLLM, None)])
def test_defect_more_stop_texts_than_a_server_takes(said: str, param: str | None) -> None:
    """EvalPlus's protocol has seven; OpenAI and vLLM 0.32 take four, and every task was refused."""

    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["stop"]) > 4:
            return 400, {"error": {"message": said, "param": param}}
        return 200, completion("x = 1\nprint(x)")

    stops = ("<|endoftext|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(", "\n```\n")
    asked = [REQUEST.model_copy(update={"sampling": Sampling(stop=stops), "sample_index": n}) for n in range(40)]
    with Scripted(picky) as endpoint:
        with pytest.warns(RuntimeWarning, match="refuses more than 4 stop texts") as told:
            answers = ask(endpoint.url, *asked)
        assert [answer.text for answer in answers] == ["x = 1"] * 40
        assert len(told) == 1, "those under way are refused, too, and ask again"
        assert endpoint.seen[-1]["stop"] == ["\nif __name__", "\ndef main(", "\nprint(", "\n```\n"]


def test_a_server_that_takes_no_stop_texts_is_asked_without_them() -> None:
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        refused = {"error": {"message": "Unsupported parameter: 'stop' is not supported with this model."}}
        return (400, refused) if "stop" in body else (200, completion("x = 1\nprint(x)"))

    asked = REQUEST.model_copy(update={"sampling": Sampling(stop=("\nprint(",))})
    with Scripted(picky) as endpoint, pytest.warns(RuntimeWarning, match="refuses stop"):
        [answer] = ask(endpoint.url, asked)
    assert answer.text == "x = 1"


def test_defect_parameters_refused_to_many_at_once_are_left_out_by_all() -> None:
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        refused = {"error": {"message": "'temperature' is not supported", "param": "temperature"}}
        return (400, refused) if "temperature" in body else (200, completion("ok"))

    asked = [REQUEST.model_copy(update={"sample_index": number}) for number in range(30)]
    with Scripted(picky) as endpoint, pytest.warns(RuntimeWarning, match="refuses temperature"):
        assert [answer.text for answer in ask(endpoint.url, *asked, concurrency=30)] == ["ok"] * 30


@pytest.mark.parametrize(
    ("text", "answer", "thought"),
    [
        pytest.param("<think>\nhm\n</think>\n\nx = 1", "x = 1", "hm", id="think block"),
        pytest.param("<think>hm", "", "hm", id="cut while thinking"),
        pytest.param("hm\n</think>\nx = 1", "x = 1", "hm", id="opened by the template"),
        pytest.param("```\nx = '</think>'\n```", "```\nx = '</think>'\n```", "", id="the tag in a program"),
        pytest.param("plain", "plain", "", id="no thought"),
    ],
)
def test_thoughts_are_no_answer(text: str, answer: str, thought: str) -> None:
    assert split_reasoning(text) == (answer, thought)


def test_reasoning_content_is_kept() -> None:
    with Scripted(lambda _: (200, completion("x", message={"reasoning_content": "hm"}))) as endpoint:
        [answer] = ask(endpoint.url)
    assert (answer.text, answer.reasoning) == ("x", "hm")


def test_several_addresses_share_the_load() -> None:
    with Scripted(lambda _: (200, completion("a"))) as one, Scripted(lambda _: (200, completion("a"))) as other:
        requests = [REQUEST.model_copy(update={"sample_index": i}) for i in range(20)]
        ask((one.url, other.url), *requests)
        assert one.requests + other.requests == 20
        assert min(one.requests, other.requests) >= 8


def test_the_key_is_in_no_message() -> None:
    echo = {"error": {"message": f"Incorrect API key provided: {CANARY}"}}
    with Scripted(lambda _: (401, echo)) as endpoint, pytest.raises(EndpointError) as raised:
        ask(endpoint.url)
    assert CANARY not in str(raised.value)
    assert "Incorrect API key provided: ***" in str(raised.value)


@pytest.mark.slow
def test_a_real_server_behind_faults(coder_server: int) -> None:
    """Every kind of fault, and still the answers of the same weights in this process."""
    from iterpref.clients.local.client import LocalClient
    from iterpref.playground.coder import coder_path
    from iterpref.playground.tasks import playground_tasks
    from iterpref.records import as_messages

    greedy = Sampling(temperature=0, max_tokens=96)
    tasks = playground_tasks("train", 40)
    requests = [Request(messages=as_messages(task.prompt), sampling=greedy) for task in tasks]
    with FaultyProxy(coder_server, rate=0.4, seed=1) as proxy:
        answers = ask(proxy.url, *requests, model=str(coder_path()), max_attempts=12, timeout_s=20, concurrency=16)
        assert set(proxy.faults) == set(FAULTS)
        # The slow ones were answered; every other fault cost one more request.
        assert proxy.requests == len(tasks) + proxy.faults.total() - proxy.faults["slow"]
    local = LocalClient(Path(coder_path()))

    async def in_process() -> list[Completion]:
        return await asyncio.gather(*(local.complete(request) for request in requests))

    assert [a.text for a in answers] == [a.text for a in asyncio.run(in_process())]
    local.close()


BEGUN = Request(messages=(*REQUEST.messages, Message(role="assistant", content="```python\n")))


@pytest.mark.parametrize(
    ("prefill", "last", "more"),
    [
        pytest.param("continue_final_message", {}, {"continue_final_message": True, "add_generation_prompt": False},
                     id="vLLM"),
        pytest.param("prefix", {"prefix": True}, {}, id="DeepSeek"),
        pytest.param("plain", {}, {}, id="continued anyway"),
    ],
)  # fmt: skip
def test_a_begun_turn(prefill: str, last: dict[str, Any], more: dict[str, Any]) -> None:
    with Scripted(lambda _: (200, completion("x = 1"))) as endpoint:
        ask(endpoint.url, BEGUN, REQUEST, prefill=prefill)
    begun, plain = sorted(endpoint.seen, key=lambda body: -len(body["messages"]))
    assert begun["messages"][-1] == {"role": "assistant", "content": "```python\n"} | last
    assert {name: begun.get(name) for name in more} == more
    assert set(begun) - set(plain) == set(more) and "prefix" not in plain["messages"][-1]


def test_a_raw_prompt_goes_to_completions() -> None:
    reply = {"choices": [{"text": "    return <think>\n\ndef g(): pass", "finish_reason": "length"}]}
    with Scripted(lambda body: (200, reply) if "prompt" in body else (400, {})) as endpoint:
        [answer] = ask(endpoint.url, REQUEST.model_copy(update={"raw": True, "sampling": Sampling(stop=("\ndef ",))}))
    assert endpoint.seen[0]["prompt"] == "double x" and "messages" not in endpoint.seen[0]
    assert endpoint.seen[0]["stop"] == ["\ndef "]
    assert answer == Completion(text="    return <think>\n", finish_reason="stop")  # the server took no stop text


def test_neither_message_nor_text() -> None:
    with (
        Scripted(lambda _: (200, {"choices": [{"index": 0}]})) as endpoint,
        pytest.raises(ClientError, match="neither"),
    ):
        ask(endpoint.url)


def test_as_many_requests_as_are_allowed_are_in_flight() -> None:
    """More than the SDK's own pool keeps open (100)."""
    now, peak = 0, 0

    class Slow(Scripted):
        async def handle(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
            nonlocal now, peak
            now += 1
            peak = max(peak, now)
            await asyncio.sleep(0.5)
            now -= 1
            await super().handle(head, body, writer)

    with Slow(lambda _: (200, completion("hi"))) as endpoint:
        ask(endpoint.url, *(REQUEST.model_copy(update={"sample_index": n}) for n in range(600)), concurrency=120)
    assert 110 <= peak <= 120
