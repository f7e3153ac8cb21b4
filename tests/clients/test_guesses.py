"""Guesses of a row's next tokens shorten decoding and change no text."""

from collections.abc import Iterator
from typing import Any

import pytest
from engines import decode, random_network, row

from iterpref.clients.local.engine import Engine
from iterpref.clients.local.row import DecodingRow
from iterpref.clients.local.slab import exchange_attention

REPEATING = [5, 6, 7, 8, 9, 10, 11] * 12


@pytest.fixture(scope="module", params=["of 97 tokens", "of 6 tokens"])
def network(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Of few tokens: the same ones come again and again, and what followed them then seldom does."""
    made = random_network(vocabulary=6 if request.param == "of 6 tokens" else 97)
    exchange_attention(made.config)
    yield made


@pytest.fixture
def steps(network: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens that each step ran."""
    ran: list[int] = []
    forward = network.forward

    def counted(**arguments: Any) -> Any:
        ran.append(arguments["input_ids"].shape[1])
        return forward(**arguments)

    monkeypatch.setattr(network, "forward", counted)
    return ran


@pytest.fixture
def without(network: Any) -> Any:
    """`without(row, ...)`: their texts when nothing is guessed."""

    def texts(*rows: DecodingRow) -> list[list[int]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DecodingRow, "guess", lambda *_: [])
            return decode(Engine(network, 8, 4096), *rows)

    return texts


def test_a_text_that_repeats_itself_takes_few_steps(network: Any, steps: list[int], without: Any) -> None:
    [plain] = without(row(1, 2, 3, limit=120, temperature=0.0))
    assert len(steps) == 120, "the greedy text of this network ends in a circle"
    steps.clear()
    [guessed] = decode(Engine(network, 8, 4096), row(1, 2, 3, limit=120, temperature=0.0))
    assert guessed == plain
    assert len(steps) < 60


@pytest.mark.parametrize("temperature", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_right_and_wrong_guesses_change_no_text(
    network: Any, steps: list[int], without: Any, temperature: float, count: int
) -> None:
    some = [token % network.config.vocab_size for token in REPEATING]

    def rows() -> list[DecodingRow]:
        return [row(*some, n % 6, *some, seed=n, limit=90, temperature=temperature) for n in range(count)]

    plain, without_guesses = without(*rows()), list(steps)
    steps.clear()
    engine = Engine(network, 8, 4096)
    assert decode(engine, *rows()) == plain
    assert engine.made == 90 * count, "what was guessed wrongly is not counted"
    if network.config.vocab_size == 6:
        assert sum(steps) > sum(without_guesses), "some guesses are wrong"
        assert len(steps) < len(without_guesses) or count > 1, "some are right, but one row may have no luck"


def test_a_row_ends_within_right_guesses(network: Any, without: Any) -> None:
    [whole] = without(row(1, 2, 3, limit=120, temperature=0.0))
    for limit in range(100, 108):
        assert decode(Engine(network, 2, 4096), row(1, 2, 3, limit=limit, temperature=0.0)) == [whole[:limit]]
    for at in range(100, 108):
        enough = row(1, 2, 3, limit=120, temperature=0.0, over=lambda new, at=at: len(new) == at)
        assert decode(Engine(network, 2, 4096), enough) == [whole[:at]]


def test_the_slab_bounds_guesses(network: Any, without: Any) -> None:
    """A row that fills its slab to the last token has no room for a guess behind it."""
    some = [token % network.config.vocab_size for token in REPEATING]
    [whole] = without(row(*some, limit=300, temperature=0.0))
    assert decode(Engine(network, 1, 256), row(*some, limit=300, temperature=0.0)) == [whole]


def test_what_followed_the_longest_common_end_is_guessed() -> None:
    one = row(1, 2, 3, 40, 9, 2, 3, 4, 50, 7, 1, 2, 3)
    assert one.guess(3) == [40, 9, 2]
    assert row(1, 2, 3, 4, 5).guess(3) == []
    assert row(1, 2, 3, 4, 1, 2, 3, limit=2).guess(3) == [4], "the last token is drawn in any case"
    assert row(1, 2, 3, 4, 1, 2, 3).guess(0) == []


def test_a_row_whose_guesses_prove_wrong_guesses_less() -> None:
    one = row(*REPEATING, limit=1000)
    lengths = []
    for number in range(4):
        guessed = one.guess(15)
        lengths.append(len(guessed))
        assert one.take([90 + number, *guessed], guessed) == 1
        one.tokens += REPEATING[:7]
    assert lengths == [4, 1, 1, 1]
    assert one.guess(15, worth=0.6) == []
    right = row(*REPEATING, limit=1000)
    for expected in (4, 8, 15, 15):
        guessed = right.guess(15)
        assert len(guessed) == expected
        assert right.take([*guessed, REPEATING[(len(right.tokens) + expected) % 7]], guessed) == expected + 1
    assert right.guess(15, worth=0.9)
