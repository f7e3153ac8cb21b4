"""Weighted forms of the loss on the playground's coder, against the formula written out once more in float64.

Nothing of the package computes the reference: a token's place is counted in the characters its byte-level name stands
for, and what it weighs is written down per case.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, AutoTokenizer

from iterpref.errors import ConfigError
from iterpref.playground.coder import coder_path
from iterpref.records import PreferencePair
from iterpref.training import METHODS, read_pairs
from iterpref.training.config import FocalDPOConfig
from iterpref.training.trainer import FocalDPOTrainer

from .conftest import make_pair, write_pairs
from .test_loss import plain_copy

BETA = 0.3


@dataclass(frozen=True)
class Case:
    """Settings, and what the formula says under them: weights (in the changed lines, outside) of either side."""

    settings: dict[str, Any]
    chosen: tuple[float, float]
    rejected: tuple[float, float]
    mean: bool = False
    gamma: float = 0.0
    alpha: float = 0.0
    metrics: Sequence[str] = field(default=())


ALL, FOCAL = (1.0, 1.0), (1.0, 0.0)
CASES = {
    "soft": Case({"method": "target_dpo", "outside_weight": 0.25}, ALL, (1.0, 0.25), metrics=("rejected_weighted",)),
    "soft with nll": Case(
        {"method": "target_rpo", "alpha": 2.0, "outside_weight": 0.25, "added_weight": 2.0},
        (2.0, 1.0),
        (1.0, 0.25),
        alpha=2.0,
        metrics=("chosen_weighted", "rejected_weighted"),
    ),
    "outside weighs as much: dpo": Case({"method": "target_dpo", "outside_weight": 1.0}, ALL, ALL),
    "outside weighs nothing: target_rpo": Case({"method": "target_rpo", "outside_weight": 0}, ALL, FOCAL, alpha=1.0),
    "dpo with heavier added tokens": Case({"method": "dpo", "added_weight": 2.0}, (2.0, 1.0), ALL),
    "simpo": Case({"method": "simpo", "gamma": 0.2}, ALL, ALL, mean=True, gamma=0.2, metrics=("chosen_weighted",)),
    "focal_simpo": Case({"method": "focal_simpo"}, ALL, FOCAL, mean=True, gamma=0.5),
    "lpo": Case({"method": "lpo", "alpha": 0.5}, (0.9, 0.1), (0.9, 0.1), mean=True, gamma=0.5, alpha=0.5),
}


def pairs() -> list[PreferencePair]:
    made = []
    for number, (right, wrong) in enumerate([("x + 2", "x - 2"), ("x * x + 1", "x")]):
        head = ["```python", f"def f{number}(x):", "    y = x"]
        tail = ["    y = y", "    return y", "```"]
        fixed = [*head, *[">    y = 0"] * number, f">    y = {right}", *tail]
        made.append(make_pair(f"pair-{number}", f"Write f{number}.\n", fixed, [*head, f">    y = {wrong}", *tail]))
    return made


def weighed_logps(network: Any, tokenizer: Any, pair: PreferencePair, side: str, case: Case) -> tuple[Any, Any]:
    """The side's weighted log-probability, and its tokens' log-probabilities."""
    completion, spans = getattr(pair, side), getattr(pair, f"{side}_spans")
    start = len(pair.prompt)
    ids = tokenizer(pair.prompt + completion + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    changed = {start + at for span in spans for at in range(span.start, span.stop)}
    fences = {start + at for at, char in enumerate(completion) if char == "`"}
    inside, outside = getattr(case, side)
    weights, stop = [], 0
    for name in tokenizer.convert_ids_to_tokens(ids):
        here, stop = set(range(stop, stop + len(name))), stop + len(name)
        weight = inside if here & changed and not here & fences else outside
        weights.append(weight if stop > start else float("nan"))
    x, w = torch.tensor([ids]), torch.tensor(weights, dtype=torch.float64)[1:]
    logps = network(x).logits[0, :-1].log_softmax(-1).gather(1, x[0, 1:, None])[:, 0]
    logps, w = logps[~w.isnan()], w[~w.isnan()]
    return (logps * w).sum() / (w.sum() if case.mean else 1.0), logps


def formula(policy: Any, reference: Any, tokenizer: Any, case: Case) -> torch.Tensor:
    """-log sigmoid(beta (K+ - K-) - gamma), averaged over pairs, + alpha times the mean NLL of the chosen tokens."""
    losses, chosen = [], []
    for pair in pairs():
        k = {}
        for side in ("chosen", "rejected"):
            k[side], logps = weighed_logps(policy, tokenizer, pair, side, case)
            if not case.mean:  # the methods that compare means have no reference
                k[side] = k[side] - weighed_logps(reference, tokenizer, pair, side, case)[0].detach()
            chosen += [logps] if side == "chosen" else []
        losses.append(-logsigmoid(BETA * (k["chosen"] - k["rejected"]) - case.gamma))
    return torch.stack(losses).mean() - case.alpha * torch.cat(chosen).mean()


def make_trainer(tmp_path, **config) -> FocalDPOTrainer:
    args = FocalDPOConfig(
        output_dir=str(tmp_path / "out"),
        beta=BETA,
        use_cpu=True,
        gradient_checkpointing=False,
        per_device_train_batch_size=2,
        report_to="none",
        **config,
    )
    network = AutoModelForCausalLM.from_pretrained(coder_path(), dtype=torch.float32)
    dataset = read_pairs(write_pairs(tmp_path / "pairs", pairs()))
    tokenizer = AutoTokenizer.from_pretrained(coder_path())
    return FocalDPOTrainer(network, args=args, train_dataset=dataset, processing_class=tokenizer)


@pytest.mark.parametrize(("trunk", "precompute"), [("auto", True), ("auto", False), ("off", False)])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_matches_the_formula(tmp_path, case, precompute, trunk):
    trainer = make_trainer(tmp_path, trunk_attention=trunk, precompute_ref_log_probs=precompute, **case.settings)
    reference = plain_copy(trainer.model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 0.005 * torch.randn_like(parameter)
    policy = plain_copy(trainer.model)
    expected = formula(policy, reference, trainer.processing_class, case)
    expected.backward()
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    with trainer.packed(trainer.model, batch):
        got = trainer.compute_loss(trainer.model, batch)
        got.backward()
    assert trainer.trunk_mode == (None if trunk == "off" else "split")
    assert got.item() == pytest.approx(expected.item(), rel=3e-5)
    theirs = dict(policy.named_parameters())
    for name, ours in trainer.model.named_parameters():
        error = (ours.grad.double() - theirs[name].grad).norm() / theirs[name].grad.norm()
        assert error < 5e-5, f"{name}: relative gradient error {error:.2e}"


def test_metrics_say_what_they_cover(tmp_path):
    case = CASES["soft with nll"]
    trainer = make_trainer(tmp_path, max_steps=1, logging_steps=1, save_strategy="no", **case.settings)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert {f"{name}/{side}" for name in ("rewards", "logps", "logits") for side in case.metrics} <= set(logged)
    assert not {"rewards/chosen", "rewards/rejected"} & set(logged)
    assert 0 < logged["mean_token_accuracy"] <= 1


def test_rewards_of_simpo_are_free_of_gamma(tmp_path):
    """TRL subtracts gamma where it takes a reference off; what is logged is beta times the mean log-probability."""
    case = CASES["simpo"]
    trainer = make_trainer(tmp_path, max_steps=1, logging_steps=1, save_strategy="no", **case.settings)
    network, tokenizer = plain_copy(trainer.model), trainer.processing_class
    means = {
        side: sum(weighed_logps(network, tokenizer, pair, side, case)[0].item() for pair in pairs()) / 2
        for side in ("chosen", "rejected")
    }
    trainer.train()
    logged = trainer.state.log_history[0]
    assert logged["rewards/chosen_weighted"] == pytest.approx(BETA * means["chosen"], rel=1e-4)
    assert logged["rewards/margins"] == pytest.approx(BETA * (means["chosen"] - means["rejected"]), rel=1e-3)
    assert "rewards/accuracies_over_gamma" in logged and "rewards/accuracies" not in logged


def test_no_weights_no_column_more(tmp_path):
    """With weights of 0 and 1 alone the batch is what it was."""
    plain = make_trainer(tmp_path, method="dpo")
    soft = make_trainer(tmp_path, method="target_dpo", outside_weight=1.0)
    batches = [t.data_collator([t.train_dataset[i] for i in range(2)]) for t in (plain, soft)]
    assert "token_weights" not in batches[0] and batches[0].keys() == batches[1].keys()
    assert torch.equal(batches[0]["completion_mask"], batches[1]["completion_mask"])
    heavier = make_trainer(tmp_path, method="dpo", added_weight=3.0)
    batch = heavier.data_collator([heavier.train_dataset[i] for i in range(2)])
    assert batch["completion_mask"].shape[1] == batches[0]["completion_mask"].shape[1] + 1
    assert not batch["completion_mask"][:, -1].any()


def test_means_are_over_what_truncation_leaves(tmp_path):
    longest = 24
    trainer = make_trainer(tmp_path, method="simpo", max_length=longest)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    assert trainer.truncated == 2
    assert batch["token_weights"].sum(dim=1).tolist() == pytest.approx([1.0] * 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "rpo", "outside_weight": 0.5}, "outside_weight=0.5, but method=rpo has no side reduced to D-"),
        ({"method": "symmetric", "added_weight": 2.0}, "does not compare the whole chosen side"),
        ({"method": "sft", "added_weight": 2.0}, "does not compare the whole chosen side"),
        ({"method": "target_dpo", "gamma": 1.0}, "method=target_dpo has no margin"),
        ({"method": "target_dpo", "outside_weight": 1.5}, "expected a weight from 0 to 1"),
        ({"method": "dpo", "added_weight": float("nan")}, "expected a weight from 0 to 1"),
        ({"method": "simpo", "gamma": -1.0}, "gamma=-1.0; expected"),
        ({"method": "simpo", "beta": 0.0}, "beta=0"),
    ],
)
def test_weights_that_mean_nothing(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        FocalDPOConfig(output_dir=str(tmp_path), **settings)


def test_the_table_is_consistent():
    """A weight beside the mask, a mean or a margin belongs to methods that compare two sides."""
    for method in METHODS.values():
        assert method.pairwise or not (method.outside or method.mean or method.margin)
        assert method.focal_sides or not method.outside
