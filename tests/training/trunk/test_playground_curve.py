"""Fifty steps of the playground's coder, with and without shared trunks: the same curve."""

import itertools

import pytest

from iterpref.playground.coder import coder_path
from iterpref.playground.puzzles import as_task, distinct_puzzles
from iterpref.playground.tasks import PLAYGROUND
from iterpref.programs import fenced
from iterpref.records import PreferencePair
from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs

from ..conftest import make_pair, write_pairs

STEPS = 50
CURVES = ("loss", "rewards/chosen", "rewards/rejected_focal", "logps/rejected_focal")


def playground_pairs(tasks: int) -> list[PreferencePair]:
    """Per task its reference, against a program for each misconception that one of its steps can have."""
    pairs = []
    for puzzle in itertools.islice(distinct_puzzles(PLAYGROUND, "train", 0), tasks):
        plain = [0] * len(puzzle.sites)
        right = fenced(puzzle.reference).split("\n")
        for place, site in enumerate(puzzle.sites):
            for form in set(range(len(site.operation.forms))) - {puzzle.wanted[place]}:
                forms = [*puzzle.wanted[:place], form, *puzzle.wanted[place + 1 :]]
                wrong = fenced(PLAYGROUND.program(puzzle.sites, forms, plain)).split("\n")
                marked = [
                    [line if line in other else f">{line}" for line in lines]
                    for lines, other in ((right, wrong), (wrong, right))
                ]
                name = f"{place}-{form}-{len(pairs)}"
                pairs.append(make_pair(name, as_task(puzzle, "train").prompt, *marked))
    return pairs


@pytest.mark.slow
def test_fifty_steps_are_the_same_to_three_digits(tmp_path):
    pairs = read_pairs(write_pairs(tmp_path / "pairs", playground_pairs(60)))
    logs = {}
    for trunk in ("split", "off"):
        args = FocalDPOConfig(
            output_dir=str(tmp_path / trunk),
            method="target_rpo",
            trunk_attention=trunk,
            use_cpu=True,
            gradient_checkpointing=False,
            precompute_ref_log_probs=True,
            per_device_train_batch_size=8,
            learning_rate=3e-4,
            lr_scheduler_type="cosine",
            max_steps=STEPS,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
        )
        trainer = FocalDPOTrainer(str(coder_path()), args=args, train_dataset=pairs)
        trainer.train()
        logs[trunk] = [entry for entry in trainer.state.log_history if "loss" in entry]
        assert trainer.trunk_mode == (None if trunk == "off" else "split")
    assert [len(log) for log in logs.values()] == [STEPS, STEPS]
    shared, separate = logs["split"], logs["off"]
    assert separate[-1]["loss"] < 0.8 * separate[0]["loss"], "nothing was learned, so nothing was compared"
    worst = {
        name: max(abs(a[name] - b[name]) / max(abs(b[name]), 1e-2) for a, b in zip(shared, separate, strict=True))
        for name in CURVES
    }
    ratio = sum(entry["trunk/token_ratio"] for entry in shared) / STEPS
    print(f"\n{len(pairs)} pairs, {ratio:.2f} times fewer tokens; largest relative difference {worst}")
    assert worst["loss"] < 5e-4
    assert max(worst.values()) < 5e-3
