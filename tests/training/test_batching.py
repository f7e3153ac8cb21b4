"""Which pairs share a batch, in which order, and what a resumed run still gets."""

import json

import pytest

from iterpref.training import read_pairs
from iterpref.training.batching import GroupBatchSampler
from iterpref.training.train import train

from .conftest import example_pairs, make_pair, write_pairs


def rows(*sizes: int, prompt: int = 20, code: int = 10) -> list[dict[str, list[int]]]:
    """Groups of pairs; the rejected side differs in its last but one token."""
    made = []
    for group, size in enumerate(sizes):
        for number in range(size):
            good = [7] * code
            bad = [*good[:-2], 100 + number, 7]
            mask = [0] * (code - 2) + [1, 1]
            ids = {"prompt_ids": [group] * prompt, "chosen_ids": good, "rejected_ids": bad}
            made.append(ids | {"chosen_mask": [1] * code, "rejected_mask": mask})
    return made


def test_groups_stay_together():
    pairs = rows(3, 2, 1, 3, 2, 1)
    sampler = GroupBatchSampler(pairs, seed=0, max_pairs=4)
    assert sorted(at for batch in sampler for at in batch) == list(range(12))
    assert len(sampler) == len(list(sampler)) <= 4
    assert all(len(batch) <= 4 for batch in sampler)
    prompts = [{tuple(pairs[at]["prompt_ids"]) for at in batch} for batch in sampler]
    assert sum(map(len, prompts)) == 6, "a group was cut"


def test_a_group_over_the_limit_is_cut():
    assert sorted(map(len, GroupBatchSampler(rows(5), seed=0, max_pairs=2))) == [1, 2, 2]


def test_order_is_a_function_of_seed_and_epoch():
    sampler = GroupBatchSampler(rows(*[1] * 8), seed=0, max_pairs=1)
    first, again = list(sampler), list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    sampler.set_epoch(0)
    assert first == again == list(sampler)
    assert second != first
    assert sorted(second) == sorted(first)
    assert list(GroupBatchSampler(rows(*[1] * 8), seed=1, max_pairs=1)) != first


def test_token_budget():
    """A group of one has 29 + 1 tokens (the last feeds nothing, the branch one), each further pair one more."""
    single = GroupBatchSampler(rows(1, 1, 1), seed=0, max_pairs=1, max_tokens=60)
    assert sorted(map(len, single)) == [1, 2]
    group = GroupBatchSampler(rows(3, 1), seed=0, max_pairs=1, max_tokens=32)
    assert sorted(map(len, group)) == [1, 3]
    tight = GroupBatchSampler(rows(3), seed=0, max_pairs=9, max_tokens=31)
    assert sorted(map(len, tight)) == [1, 2]
    assert sorted(map(len, GroupBatchSampler(rows(2), seed=0, max_pairs=9, max_tokens=5))) == [1, 1]


def grouped_pairs(count: int):
    """Two pairs for each prompt."""
    pairs = example_pairs(count=count)
    twins = [
        make_pair(
            f"{pair.pair_id}-twin", pair.prompt, pair.chosen.split("\n"), [*pair.rejected.split("\n")[:-1], ">x", "```"]
        )
        for pair in pairs
    ]
    return pairs + twins


BY_LENGTH = {"train_sampling_strategy": "group_by_length", "precompute_ref_log_probs": True}


@pytest.mark.parametrize("saved", [4, 8], ids=["first epoch", "second epoch"])
@pytest.mark.parametrize(
    "batches",
    [
        {"per_device_train_batch_size": 2},
        {"max_tokens_per_batch": 150},
        {"per_device_train_batch_size": 2, **BY_LENGTH},
    ],
    ids=["pairs", "tokens", "length"],
)
def test_resuming_within_an_epoch_gives_the_same_weights(tmp_path, workshop, batches, saved):
    """Six batches an epoch, eleven steps; stop one step after the checkpoint."""
    model, _ = workshop()
    pairs = write_pairs(tmp_path / "pairs", grouped_pairs(6))
    config = {
        "method": "target_rpo",
        "learning_rate": 1e-2,
        "max_steps": 11,
        "save_strategy": "steps",
        "save_steps": 4,
        "logging_steps": 1,
        "gradient_checkpointing": False,
        "report_to": "none",
        "use_cpu": True,
        **batches,
    }
    whole = train(pairs, model, tmp_path / "whole", config)

    class Stop(Exception):
        pass

    def stop(step, steps, metrics):
        if step == saved + 1:
            raise Stop

    with pytest.raises(Stop):
        train(pairs, model, tmp_path / "cut", config, on_progress=stop)
    resumed = train(pairs, model, tmp_path / "cut", config)
    assert (whole.steps, resumed.resumed_step) == (11, saved)
    logs = [json.loads((tmp_path / name / "training_log.json").read_text()) for name in ("whole", "cut")]
    losses = [[entry["loss"] for entry in log if "loss" in entry] for log in logs]
    assert losses[0][saved:] == losses[1][saved - 11 :]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_pairs_of_a_prompt_share_a_trunk(tmp_path, workshop):
    from iterpref.training import FocalDPOConfig, FocalDPOTrainer

    pairs = read_pairs(write_pairs(tmp_path / "pairs", grouped_pairs(4)))
    model, tokenizer = workshop()
    args = FocalDPOConfig(output_dir=str(tmp_path / "out"), per_device_train_batch_size=2, use_cpu=True)
    trainer = FocalDPOTrainer(model, args=args, train_dataset=pairs, processing_class=tokenizer)
    for batch in trainer.get_train_dataloader():
        trunks = [segment for segment in batch["trunk"].segments if not segment.prefix]
        assert len(trunks) == 1
        assert batch["trunk"].row_tokens / batch["trunk"].tokens > 2.4
