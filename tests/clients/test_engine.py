"""Decoding many rows at once: the texts are those of each row alone, whatever is copied, moved, or put off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engines import SIZES, decode, random_network, row
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from iterpref.clients.local.engine import Engine
from iterpref.clients.local.probe import decoder
from iterpref.clients.local.slab import exchange_attention
from iterpref.clients.local.waves import Waves


@pytest.fixture(scope="module")
def network() -> Iterator[Any]:
    made = random_network()
    exchange_attention(made.config)
    yield made


def prompts(count: int) -> list[list[int]]:
    """Of many lengths; every third is the one before and a little more."""
    made: list[list[int]] = []
    for n in range(count):
        fresh = [(7 * n + i * i) % 97 for i in range(1 + (37 * n) % 90)]
        made.append([*made[-1], n % 97, 3] if n % 3 == 2 else fresh)
    return made


@pytest.mark.parametrize(("rows", "tokens"), [(64, 1 << 15), (5, 1 << 15), (64, 1024), (3, 256)])
def test_texts_are_those_of_each_row_alone(network: Any, rows: int, tokens: int) -> None:
    alone = [decode(Engine(network, 1, 1 << 12), row(*p, seed=i, limit=1 + 11 * (i % 5)))[0]
             for i, p in enumerate(prompts(24))]  # fmt: skip
    together = [row(*p, seed=i, limit=1 + 11 * (i % 5)) for i, p in enumerate(prompts(24))]
    assert decode(Engine(network, rows, tokens), *together) == alone


def test_a_prompt_of_several_steps_needs_no_row_beside_it(network: Any) -> None:
    long = [(i * i) % 97 for i in range(600)]
    [alone] = decode(Engine(network, 1, 4096), row(*long, temperature=0.0))
    [_, beside] = decode(Engine(network, 2, 4096), row(5, 6, limit=40), row(*long, temperature=0.0))
    assert alone == beside and len(alone) == 12


def test_greedy_rows_and_draws_share_a_step(network: Any) -> None:
    mixed = [row(1, 2, 3, temperature=0.0), row(1, 2, 3), row(1, 2, 3, top_p=0.5), row(1, 2, 3, temperature=0.0)]
    greedy, drawn, narrow, again = decode(Engine(network, 8, 4096), *mixed)
    tokens = [1, 2, 3]
    plain = random_network()
    for _ in range(12):
        tokens.append(int(plain(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    assert greedy == again == tokens[3:]
    assert drawn != greedy and narrow != drawn


def test_a_shared_beginning_is_computed_once(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, computed = Engine(network, 16, 1 << 14), []
    forward = network.forward

    def counted(**arguments: Any) -> Any:
        computed.append(arguments["input_ids"].shape[1])
        return forward(**arguments)

    monkeypatch.setattr(network, "forward", counted)
    prompt = list(range(90))
    samples = [row(*prompt, seed=seed, limit=1) for seed in range(8)]
    first = decode(engine, *samples)
    assert sum(computed) == 90 + 7
    computed.clear()
    answered = [*prompt, *first[0], 5, 6]
    decode(engine, row(*answered, limit=1))
    assert sum(computed) == 3, "the answer's last token was drawn and not run, and two are new"


def test_a_row_leaves_when_it_ends_and_another_takes_its_place(network: Any) -> None:
    engine = Engine(network, 2, 1 << 12)
    short, long, waiting = row(1, limit=2), row(2, limit=30), row(3, limit=2)
    for one in (short, long, waiting):
        engine.add(one)
    left = []
    while engine.busy:
        left += engine.step()
    assert left == [short, waiting, long]


def test_what_ends_a_row(network: Any) -> None:
    [whole] = decode(Engine(network, 1, 1024), row(4, 5))
    [cut] = decode(Engine(network, 1, 1024), row(4, 5, ends=frozenset({whole[4]})))
    assert cut == whole[: whole.index(whole[4]) + 1]
    [told] = decode(Engine(network, 1, 1024), row(4, 5, over=lambda new: len(new) == 3))
    assert told == whole[:3]


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_the_engine_is_chosen_where_it_is_right(kind: str) -> None:
    assert isinstance(decoder(random_network(kind), 4, 1024), Engine)


def test_near_ties_in_bfloat16_are_no_reason_to_decode_in_batches() -> None:
    """A few of forty networks gave other tokens for want of digits, and a fine-tuned model was decoded slowly then."""
    for seed in range(40):
        torch.manual_seed(seed)
        network = Qwen2ForCausalLM(Qwen2Config(**SIZES)).to(torch.bfloat16).eval()
        assert isinstance(decoder(network, 4, 1024), Engine), seed


def test_other_models_decode_in_batches_with_the_same_draws(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = random_network()
    other.generation_config.repetition_penalty = 5.0  # a published model's own wishes, which no request has
    other.generation_config.no_repeat_ngram_size = 2
    monkeypatch.setattr(type(other), "_supports_attention_backend", False)
    waves = decoder(other, 4, 1024)
    assert isinstance(waves, Waves)
    ends = frozenset({1, 2, 3})
    ours = decode(Engine(network, 4, 1 << 12), *(row(*p, seed=i, ends=ends) for i, p in enumerate(prompts(9))))
    assert decode(waves, *(row(*p, seed=i, ends=ends) for i, p in enumerate(prompts(9)))) == ours


def test_models_with_a_window_are_not_taken_for_others(tmp_path: Path) -> None:
    sizes = SIZES | {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}
    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**sizes)).save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(decoder(model, 4, 1024), Waves)


def test_counts_are_of_rows_that_run_and_wait_and_of_tokens_made(network: Any) -> None:
    engine = Engine(network, 2, 1 << 12)
    for number in range(3):
        engine.add(row(number, limit=3))
    assert (engine.counts, engine.made) == ((0, 3), 0)
    engine.step()
    assert (engine.counts, engine.made) == ((2, 1), 2)
    while engine.busy:
        engine.step()
    assert (engine.counts, engine.made) == ((0, 0), 9)


def test_a_short_row_that_begins_leaves_longer_ones_their_room(network: Any) -> None:
    """The slab has more tokens a row than are in use, and gives them up for another row; not those that are in use."""
    [alone] = decode(Engine(network, 1, 4096), row(*range(1, 90), *range(1, 90), *range(1, 90), 3, limit=30))
    engine = Engine(network, 4, 2048)
    decode(engine, row(*[7] * 600, limit=1))  # leaves a slab of 768 tokens a row behind
    long = row(*range(1, 90), *range(1, 90), *range(1, 90), 3, limit=30)
    engine.add(long)
    for number in range(2):
        engine.step()
        engine.add(row(5, number, limit=20))
    while engine.busy:
        engine.step()
    assert long.tokens[-30:] == alone[-30:]
