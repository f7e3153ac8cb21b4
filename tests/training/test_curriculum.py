"""Pairs by weight and in order: `iteration_weight`, `curriculum`."""

from collections import Counter

import pytest
import torch
from torch.nn.functional import logsigmoid

from iterpref.errors import ConfigError, TrainingError
from iterpref.training import read_pairs
from iterpref.training.config import FocalDPOConfig
from iterpref.training.trainer import FocalDPOTrainer

from .conftest import example_pairs, write_pairs
from .test_loss import plain_copy

DISTANCES = (1, 3, 2, 1, 1, 2)
KINDS = ("failed", "ValueError", "failed", "TypeError", "failed", "ValueError")


def pairs_of_a_run(count=6):
    return [
        pair.model_copy(
            update={
                "chosen_iteration": 3,
                "rejected_iteration": 3 - DISTANCES[at % 6],
                "error_type": KINDS[at % 6],
            }
        )
        for at, pair in enumerate(example_pairs(count=count))
    ]


def make_trainer(tmp_path, workshop, pairs, **config):
    model, tokenizer = workshop()
    values = {"method": "target_dpo", "per_device_train_batch_size": len(pairs), "beta": 0.3} | config
    args = FocalDPOConfig(
        output_dir=str(tmp_path / "out"), use_cpu=True, gradient_checkpointing=False, report_to="none", **values
    )
    dataset = read_pairs(write_pairs(tmp_path / "pairs", pairs))
    return FocalDPOTrainer(model, args=args, train_dataset=dataset, processing_class=tokenizer)


def gradients_of(trainer, network, reference, terms):
    """Of the weighted mean of the pairs' losses, from rows run one by one in float64."""
    rows = [trainer.train_dataset[at] for at in range(len(trainer.train_dataset))]
    losses, nll, tokens = [], 0.0, 0
    for row, weight in zip(rows, weights_by_hand(), strict=True):
        ratio = {}
        for side in ("chosen", "rejected"):
            ids = torch.tensor([[*row["prompt_ids"], *row[f"{side}_ids"]]])
            mask = torch.tensor([*[0.0] * len(row["prompt_ids"]), *row[f"{side}_mask"]])[1:].double()
            logps = [
                (m(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0] * mask).sum()
                for m in (network, reference)
            ]
            ratio[side] = logps[0] - logps[1].detach()
            if side == "chosen":
                nll, tokens = nll - weight * logps[0], tokens + mask.sum()
        losses.append(-weight * logsigmoid(0.3 * (ratio["chosen"] - ratio["rejected"])))
    parts = {"target_dpo": torch.stack(losses).mean(), "sft": nll / tokens}
    parts["target_rpo"] = parts["target_dpo"] + parts["sft"]
    parts[terms].backward()


def weights_by_hand():
    powers = [0.5 ** (distance - 1) for distance in DISTANCES]  # 1, 1/4, 1/2, 1, 1, 1/2
    return [power * 6 / 4.25 for power in powers]


@pytest.mark.parametrize("trunk", ["auto", "off"])
@pytest.mark.parametrize("method", ["target_dpo", "target_rpo", "sft"])
def test_gradients_are_those_of_the_weighted_mean(tmp_path, workshop, method, trunk):
    how = {"method": method, "trunk_attention": trunk, "iteration_weight": 0.5}
    trainer = make_trainer(tmp_path, workshop, pairs_of_a_run(), **how)
    assert trainer.train_dataset["pair_weight"][:] == pytest.approx(weights_by_hand())
    reference = plain_copy(trainer.model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    policy = plain_copy(trainer.model)
    gradients_of(trainer, policy, reference, method)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(6)])
    with trainer.packed(trainer.model, batch):
        trainer.compute_loss(trainer.model, batch).backward()
    for (name, ours), theirs in zip(trainer.model.named_parameters(), policy.parameters(), strict=True):
        error = (ours.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert error < 2e-5, f"{name}: relative gradient error {error:.2e}"


def test_pairs_that_do_not_say_it(tmp_path, workshop):
    with pytest.raises(TrainingError, match=r"iteration_weight=0\.5 goes by chosen_iteration and rejected_iteration"):
        make_trainer(tmp_path, workshop, example_pairs(), iteration_weight=0.5)
    drawn = [pair.model_copy(update={"rejected_iteration": 4}) for pair in pairs_of_a_run()]
    with pytest.raises(TrainingError, match="pair pair-0: rejected is version 4, chosen 3"):
        make_trainer(tmp_path, workshop, drawn, iteration_weight=2.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iteration_weight": 0.0}, "iteration_weight=0.0 can't be used"),
        ({"iteration_weight": float("nan")}, "iteration_weight=nan can't be used"),
        ({"curriculum": "hard_first"}, "curriculum='hard_first' is unknown"),
        ({"curriculum": "rare_first", "group_pairs": False}, "needs group_pairs=true"),
        ({"curriculum": "rare_first", "curriculum_replay": 2.0}, "curriculum_replay from 0 to 1 .got 2.0"),
    ],
)
def test_settings_out_of_range(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        FocalDPOConfig(output_dir=str(tmp_path), **settings)


@pytest.mark.parametrize(
    ("curriculum", "kinds"),
    [
        ("frequent_first", ["failed", "ValueError", "TypeError"]),
        ("rare_first", ["TypeError", "ValueError", "failed"]),
    ],
)
def test_one_kind_after_the_other_with_some_again(tmp_path, workshop, curriculum, kinds):
    pairs = pairs_of_a_run(24)  # 12 failed, 8 ValueError, 4 TypeError, each of a prompt of its own
    trainer = make_trainer(
        tmp_path, workshop, pairs, per_device_train_batch_size=2, curriculum=curriculum, curriculum_replay=0.5
    )
    sampler = trainer.get_train_dataloader().batch_sampler
    size = {"failed": 6, "ValueError": 4, "TypeError": 2}
    at, seen = 0, []
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        epochs.append([tuple(batch) for batch in sampler])
    batches = [{pairs[row].error_type for row in batch} for batch in epochs[0]]
    assert len(batches) == len(sampler) == 12 + sum(size[kind] // 2 for kind in kinds[1:])
    for stage, kind in enumerate(kinds):
        length = size[kind] + (size[kind] // 2 if stage else 0)
        found = Counter(name for batch in batches[at : at + length] for name in batch)
        assert found[kind] == size[kind] and set(found) <= {kind, *kinds[:stage]}
        at += length
        seen += [kind]
    assert {row for batch in epochs[0] for row in batch} == set(range(24))
    assert epochs[0] != epochs[1]
    again = make_trainer(
        tmp_path, workshop, pairs, per_device_train_batch_size=2, curriculum=curriculum, curriculum_replay=0.5
    )
    assert [tuple(batch) for batch in again.get_train_dataloader().batch_sampler] == epochs[0]


def test_a_training_runs_through_it(tmp_path, workshop):
    how = {"per_device_train_batch_size": 2, "num_train_epochs": 1, "save_strategy": "no", "logging_steps": 1}
    trainer = make_trainer(tmp_path, workshop, pairs_of_a_run(), curriculum="rare_first", **how)
    trainer.train()
    assert trainer.state.global_step == len(trainer.get_train_dataloader().batch_sampler)
