"""benchmarks/lab/why.py on the playground's coder, against plain forward passes and programs whose fate is known."""

import math

import pytest
import torch
from benchmarks.lab import why
from benchmarks.lab.cells import score
from benchmarks.lab.why import Row, answer_figures, completion_logps, draws, pair_figures, token_entropies
from transformers import AutoModelForCausalLM, AutoTokenizer

from iterpref.config.load import load_config
from iterpref.demo import CONFIG
from iterpref.line_diff import changed_spans
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import fenced
from iterpref.training.reading import TrainingPair


@pytest.fixture(scope="module")
def coder():
    return AutoModelForCausalLM.from_pretrained(coder_path(), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(coder_path())


def pairs():
    made = []
    for number, (right, wrong) in enumerate([("return x + 2", "return x - 2"), ("x += 1\n    return x", "return x")]):
        chosen, rejected = (fenced(f"def f(x):\n    {body}") for body in (right, wrong))
        spans = changed_spans(rejected, chosen)
        made.append(
            TrainingPair(
                pair_id=str(number),
                prompt="Write f.\n",
                chosen=chosen,
                rejected=rejected,
                chosen_spans=spans.chosen,
                rejected_spans=spans.rejected,
            )
        )
    return made


def by_hand(network, tokenizer, prompt, completion, part=None):
    """Summed log-probability of the completion's tokens, or of those that touch the characters of `part`."""
    text = prompt + completion + tokenizer.eos_token
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logps = network(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    total, stop = 0.0, 0
    for at, name in enumerate(tokenizer.convert_ids_to_tokens(ids)):
        start, stop = stop, stop + len(name)
        wanted = (len(prompt), len(text)) if part is None else part
        if at and start < wanted[1] and stop > wanted[0]:
            total += logps[at - 1, ids[at]].item()
    return total


def test_likelihoods_and_margins(coder, tokenizer):
    torch.manual_seed(0)
    trained = AutoModelForCausalLM.from_pretrained(coder_path(), dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    found = pair_figures(trained, coder, pairs(), tokenizer)
    assert found["pairs"] == 2
    expected = {}
    for when, network in (("before", coder), ("after", trained)):
        for side in ("chosen", "rejected"):
            values = [by_hand(network, tokenizer, pair.prompt, getattr(pair, side)) for pair in pairs()]
            expected[side, when] = values
            assert found[side][when] == pytest.approx(sum(values) / 2, rel=1e-4)
        first = pairs()[0]
        start = len(first.prompt) + first.rejected_spans[0].start
        wrong = by_hand(network, tokenizer, first.prompt, first.rejected, (start, start + len("    return x - 2")))
        assert found["removed"][when] == pytest.approx(wrong / 2, rel=0.2), "the second pair has no D-, so 0"
        expected["removed", when] = [wrong, 0.0]
    ratio = {side: [a - b for a, b in zip(expected[side, "after"], expected[side, "before"], strict=True)]
             for side in ("chosen", "rejected")}  # fmt: skip
    margins = [one - other for one, other in zip(ratio["chosen"], ratio["rejected"], strict=True)]
    assert found["margin"]["mean"] == pytest.approx(sum(margins) / 2, rel=1e-3)
    assert found["margin"]["positive"] == sum(margin > 0 for margin in margins) / 2
    assert found["chosen"]["change"] == pytest.approx(sum(ratio["chosen"]) / 2, rel=1e-3)
    per_token = found["chosen"]["after"] / found["chosen"]["tokens"]
    assert found["chosen"]["after_per_token"] == pytest.approx(per_token)


def test_an_unchanged_model_has_no_margin(coder, tokenizer):
    found = pair_figures(coder, coder, pairs(), tokenizer)
    assert found["margin"] == found["focal_margin"] == {"mean": 0.0, "positive": 0.0}
    with pytest.raises(ValueError, match="no pairs"):
        pair_figures(coder, coder, [], tokenizer)


def rows(tokenizer, *texts):
    return [Row(tokenizer("Write f.\n")["input_ids"], tokenizer(text)["input_ids"]) for text in texts]


def test_entropies_are_those_of_the_distributions(coder, tokenizer):
    [row] = rows(tokenizer, "x = 1\n")
    [entropies] = token_entropies(coder, [row])
    with torch.no_grad():
        logits = coder(torch.tensor([[*row.prompt_ids, *row.ids]])).logits[0].double()
    chances = logits.softmax(-1)[len(row.prompt_ids) - 1 : -1]
    assert len(entropies) == len(row.ids) == len(completion_logps(coder, [row])[0])
    torch.testing.assert_close(
        entropies.double(), torch.distributions.Categorical(chances).entropy(), rtol=1e-4, atol=1e-5
    )
    assert all(0 <= value <= math.log(len(tokenizer)) for value in entropies.tolist())


def test_rows_of_a_batch_are_those_read_alone(coder, tokenizer, monkeypatch):
    several = rows(tokenizer, "x = 1\n", "def f(x):\n    return x + 2\n", "x", "for x in xs:\n    x += 1\n" * 3)
    together = completion_logps(coder, several)
    monkeypatch.setattr(why, "BATCH_TOKENS", 1)  # so that each is a batch of its own
    for one, other in zip(together, completion_logps(coder, several), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_answers_of_the_coder(coder, tokenizer, tmp_path):
    tasks = playground_tasks("held_out", 4, 0)
    config = load_config(base={"sandbox": {**CONFIG["sandbox"], "workers": 1}})
    asked = (coder_path(), "four tasks", tasks, config, tmp_path)
    greedy, drawn = score(*asked), draws(*asked, samples=4, temperature=1.0)
    found = answer_figures(coder, tokenizer, tasks, greedy, drawn)
    assert found["tasks"] == 4 and list(found["pass_at_k"]) == ["1", "2", "4"]
    assert found["greedy_pass_at_1"] == greedy.metrics["pass@1"]
    assert found["pass_at_k"]["1"] == pytest.approx(sum(found["passing"]) / 16) == drawn.metrics["pass@1"]
    assert found["pass_at_k"]["1"] <= found["pass_at_k"]["2"] <= found["pass_at_k"]["4"] <= 1
    assert 1 < found["distinct"] <= 4 and 0 < found["entropy"] < math.log(len(tokenizer))
    assert found["distinct_passing"] <= sum(found["passing"]) / 4
    cold = answer_figures(coder, tokenizer, tasks, greedy, draws(*asked, samples=4, temperature=1e-4))
    assert cold["distinct"] == 1.0 and cold["pass_at_k"]["4"] == cold["greedy_pass_at_1"]
    with pytest.raises(ValueError, match="samples=0"):
        draws(*asked, samples=0, temperature=1.0)
