import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from iterpref.clients.base import Completion, Request, Sampling
from iterpref.clients.local import loaded_dtype
from iterpref.clients.local.client import LocalClient
from iterpref.clients.local.draw import Draw, _noise, next_tokens
from iterpref.errors import ClientError
from iterpref.records import Message


@pytest.fixture(scope="module")
def client(random_model: Path) -> Iterator[LocalClient]:
    opened = LocalClient(random_model, batch_size=8, device="cpu")
    yield opened
    opened.close()


def ask(text: str, sample_index: int = 0, **sampling: object) -> Request:
    settings = Sampling(**{"max_tokens": 12, **sampling})
    return Request(messages=(Message(role="user", content=text),), sampling=settings, sample_index=sample_index)


def complete(client: LocalClient, *requests: Request) -> list[Completion]:
    async def all_at_once() -> list[Completion]:
        return await asyncio.gather(*(client.complete(request) for request in requests))

    return asyncio.run(all_at_once())


def test_greedy_equals_transformers_generate(client: LocalClient, random_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    model = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.float32)
    for text in ("x", "def f(x):", "a much longer prompt, with more tokens"):
        turns = [{"role": "user", "content": text}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        output = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        [answer] = complete(client, ask(text, temperature=0.0))
        assert answer.text == tokenizer.decode(output, skip_special_tokens=True)
        assert answer.prompt_tokens == ids.shape[1]


def test_an_answer_does_not_depend_on_its_companions(client: LocalClient) -> None:
    requests = [ask(f"task {'x' * n}", sample_index=n) for n in range(20)]
    together = complete(client, *requests)
    alone = [complete(client, request)[0] for request in requests]
    assert [answer.text for answer in together] == [answer.text for answer in alone]


def test_seed_and_sample_index_decide_the_draw(client: LocalClient) -> None:
    [first, again, other_index, other_seed] = complete(
        client, ask("x"), ask("x"), ask("x", sample_index=1), ask("x", seed=1)
    )
    assert first == again
    assert len({first.text, other_index.text, other_seed.text}) == 3


def test_the_draw_follows_the_model_distribution() -> None:
    """2,000 draws against softmax(logits / T): total variation within sampling noise."""
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    draws = [Draw(seed, 0.7, 1.0, place) for seed in range(40) for place in range(50)]
    drawn = torch.tensor(next_tokens(logits.expand(2000, -1), draws))
    share = torch.bincount(drawn, minlength=4) / 2000
    assert (share - (logits / 0.7).softmax(-1)).abs().sum() / 2 < 0.04


def test_nucleus_leaves_the_unlikely_out() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.05, 0.9, 0.03, 0.02]]))
    drawn = [set(next_tokens(row.expand(500, -1), [Draw(s, 1.0, 0.7, 0) for s in range(500)])) for row in logits]
    assert drawn == [{0, 1}, {1}]


def test_noise_for_near_tokens_alone_changes_no_draw() -> None:
    """A vocabulary of many unlikely tokens: the draw is that of noise for all of them."""
    logits = torch.randn(50, 5000, generator=torch.Generator().manual_seed(0)) * 9
    draws = [Draw(seed, 0.8, 1.0, 3) for seed in range(50)]
    every, alone = torch.arange(5000), torch.zeros(5000, dtype=torch.long)
    full = [int((row / 0.8 + _noise([d], alone, every)).argmax()) for row, d in zip(logits, draws, strict=True)]
    assert next_tokens(logits, draws) == full
    assert full != logits.argmax(-1).tolist()


def test_a_draw_depends_on_no_row_beside_it() -> None:
    logits = torch.randn(30, 2000, generator=torch.Generator().manual_seed(1)) * 4
    kinds = [(0.0, 1.0), (0.8, 1.0), (1.3, 0.9)]
    draws = [Draw(seed, *kinds[seed % 3], seed) for seed in range(30)]
    alone = [next_tokens(row[None], [draw])[0] for row, draw in zip(logits, draws, strict=True)]
    assert next_tokens(logits, draws) == alone
    assert len({a == b for a, b in zip(alone, logits.argmax(-1).tolist(), strict=True)}) == 2


def test_max_tokens_is_reported(client: LocalClient) -> None:
    [answer] = complete(client, ask("x", max_tokens=2, temperature=0.0))
    assert answer.completion_tokens <= 2
    assert answer.finish_reason == ("length" if answer.completion_tokens == 2 else "stop")


def test_a_prompt_that_fills_the_context_fails_alone(client: LocalClient) -> None:
    async def both() -> list[object]:
        calls = (client.complete(ask("z" * 500)), client.complete(ask("x")))
        return await asyncio.gather(*calls, return_exceptions=True)

    error, answer = asyncio.run(both())
    assert isinstance(error, ClientError)
    assert "does not fit into the model's 128 positions" in str(error)
    assert isinstance(answer, Completion)


def test_requests_may_arrive_while_a_batch_is_decoded(client: LocalClient) -> None:
    """Tokenizing a new request must not disturb the padding of the batch in work."""

    async def stream() -> list[Completion]:
        calls = []
        for n in range(120):
            calls.append(asyncio.create_task(client.complete(ask("y" * (n % 40), sample_index=n, max_tokens=4))))
            await asyncio.sleep(0.001)
        return await asyncio.gather(*calls)

    assert len(asyncio.run(stream())) == 120


def test_equal_weights_have_equal_names(client: LocalClient, random_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / random_model.name
    shutil.copytree(random_model, copy)
    assert LocalClient(copy, device="cpu").name == client.name
    model = AutoModelForCausalLM.from_pretrained(copy)
    with torch.no_grad():
        model.lm_head.weight.add_(0.01)
    model.save_pretrained(copy)
    assert LocalClient(copy, device="cpu").name != client.name


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="doesn't load"):
        LocalClient(tmp_path, device="cpu")


def test_broken_weights(random_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "broken"
    shutil.copytree(random_model, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ClientError, match="broken: doesn't load"):
        LocalClient(copy, device="cpu")


def test_no_chat_template(random_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "plain"
    shutil.copytree(random_model, copy)
    (copy / "chat_template.jinja").unlink()
    request = Request(messages=(Message(role="user", content="hi"),), sampling=Sampling(max_tokens=2))
    client = LocalClient(copy, device="cpu")
    with pytest.raises(ClientError, match="no chat template"):
        asyncio.run(client.complete(request))
    assert asyncio.run(client.complete(request.model_copy(update={"raw": True}))).completion_tokens > 0


@pytest.mark.parametrize(
    ("dtype", "device", "loaded"),
    [
        ("auto", "cpu", "float32"),
        ("auto", "cuda:1", "auto"),
        ("bfloat16", "cpu", "bfloat16"),
        ("float32", "cuda", "float32"),
    ],
)
def test_precision(dtype: str, device: str, loaded: str) -> None:
    assert loaded_dtype(dtype, device) == loaded


def test_half_of_the_bits(random_model: Path) -> None:
    client = LocalClient(random_model, device="cpu", dtype="bfloat16")
    assert next(client._decoder._model.parameters()).dtype == torch.bfloat16
    answers = complete(client, *(ask(f"task {n}", sample_index=n) for n in range(9)))
    assert {answer.completion_tokens for answer in answers} == {12}
    client.close()
