"""An answer that was begun and cut where no token ends: its last tokens are drawn anew, and spell the same text."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from engines import decode, random_network, row
from transformers import AutoTokenizer

from iterpref.clients import Ledger, Request, Sampling
from iterpref.clients.local.client import LocalClient
from iterpref.clients.local.draw import Draw, next_tokens
from iterpref.clients.local.engine import Engine
from iterpref.clients.local.spelling import Spelling
from iterpref.clients.local.waves import Waves
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Message, as_messages
from iterpref.store import Store

BEGUN = "```python\ndef solve(xs):\n    n = sum(xs)\n"
PROMPT = as_messages("Write solve(xs), where xs is a list of integers: add them up, then double it. Return the result.")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(coder_path())


@pytest.fixture(scope="module")
def spelling(tokenizer: Any) -> Spelling:
    return Spelling(tokenizer)


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    opened = LocalClient(coder_path())
    yield opened
    opened.close()


def test_the_tokens_that_stay_are_those_of_the_whole_text(spelling: Spelling, tokenizer: Any) -> None:
    """Cut behind each line of programs: whatever token reaches over the cut is among those drawn anew."""
    for task in playground_tasks("train", 5):
        text = f"```python\n{task.reference}\n```"
        whole = tokenizer(f"<assistant>{text}", add_special_tokens=False)["input_ids"]
        for place in (i + 1 for i, character in enumerate(text) if character == "\n"):
            held = spelling.hold("<assistant>", text[:place])
            assert held.tokens == whole[: len(held.tokens)]
            assert tokenizer.decode(held.tokens) + held.text == f"<assistant>{text[:place]}"


def test_only_tokens_that_spell_the_end_may_come(spelling: Spelling, tokenizer: Any) -> None:
    held = spelling.hold("<assistant>", BEGUN)
    assert held.allowed is not None
    new: list[int] = []
    while (allowed := held.allowed(new)) is not None:
        rest = held.text[len(tokenizer.decode(new)) :]
        texts = [tokenizer.decode([token]) for token in allowed]
        assert all(text.startswith(rest) or rest.startswith(text) for text in texts)
        assert allowed, f"nothing spells {rest!r}"
        new.append(min(allowed, key=lambda token: len(tokenizer.decode([token]))))  # one character after the other
    assert tokenizer.decode(new) == held.text


@pytest.mark.parametrize(
    ("begun", "text"),
    [
        pytest.param("x = 'ä'\n", None, id="behind a character of two bytes"),
        pytest.param("ä", "", id="nothing that can be spelled"),
    ],
)
def test_what_can_not_be_spelled_stays(spelling: Spelling, tokenizer: Any, begun: str, text: str | None) -> None:
    held = spelling.hold("<assistant>", begun)
    assert tokenizer.decode(held.tokens) + held.text == f"<assistant>{begun}"
    assert held.text.isascii() and (text is None or held.text == text)


def test_held_draws_leave_other_rows_alone() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    free = [Draw(seed, 0.8, 1.0, 5) for seed in range(3)]
    held = [free[0], Draw(1, 0.8, 0.9, 5, [4, 9]), Draw(2, 0.0, 1.0, 5, [7])]
    drawn = next_tokens(logits, held)
    assert drawn[0] == next_tokens(logits, free)[0]
    assert drawn[1] in (4, 9) and drawn[2] == 7
    assert torch.equal(logits, before)


def test_both_decoders_hold_rows_alike() -> None:
    """The first two new tokens of one row are held, and it guesses nothing meanwhile; its neighbour is free."""

    def rows() -> list[Any]:
        held = row(5, 7, 11, 5, 7, 11, 5, 7, allowed=lambda new: [3, 4] if len(new) < 2 else None)
        return [held, row(5, 7, 11, 5, 7)]

    network = random_network()
    plain = decode(Waves(network, 4, 1 << 12), *rows())
    from iterpref.clients.local.slab import exchange_attention

    exchange_attention(network.config)
    engine = decode(Engine(network, 4, 1 << 12), *rows())
    assert engine == plain
    assert set(engine[0][:2]) <= {3, 4} and not set(engine[0][2:]) <= {3, 4}


def ask(client: LocalClient, *requests: Request) -> list[str]:
    async def all_of_them() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*map(client.complete, requests))]

    return asyncio.run(all_of_them())


def begun(healed: bool, index: int = 0, **sampling: Any) -> Request:
    turn = Message(role="assistant", content=BEGUN)
    return Request(messages=(*PROMPT, turn), sampling=Sampling(**{"temperature": 0, "max_tokens": 64} | sampling),
                   sample_index=index, healed=healed)  # fmt: skip


def test_a_coder_goes_on_from_a_line_end(client: LocalClient) -> None:
    """Its tokens cross line ends, so that without healing it is at a loss."""
    healed, bare = ask(client, begun(True), begun(False))
    assert healed.startswith("    ") and "return" in healed
    assert not bare.startswith("    ")


def test_draws_depend_on_their_request_alone(client: LocalClient) -> None:
    requests = [begun(True, index, temperature=0.8) for index in range(4)]
    together = ask(client, *requests, begun(False))[:4]
    assert together == [ask(client, request)[0] for request in requests]


def test_the_limit_counts_what_is_new(client: LocalClient) -> None:
    [text] = ask(client, begun(True, max_tokens=1))
    assert len(text) < 60


def test_the_ledger_tells_them_apart_and_knows_earlier_calls(client: LocalClient, tmp_path: Any) -> None:
    with Store.open(tmp_path / "run") as store:
        ledger = Ledger(client, store)
        assert ledger.key(begun(True)) != ledger.key(begun(False))
        earlier = begun(False).model_dump(mode="json")
        assert earlier.pop("healed") is False
        assert ledger.key(Request.model_validate(earlier)) == ledger.key(begun(False))
