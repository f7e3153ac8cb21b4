"""GRPO in the laboratory: budgets hold, programs come from the trained weights, a cut training leaves no model."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarks.lab.trainers.arm import FINISHED
from benchmarks.lab.trainers.grpo import GrpoSettings, train_grpo

from iterpref.playground.coder import coder_path
from iterpref.records import as_messages
from iterpref.rewards import CodeReward

from .tiny import differs_from_the_coder, tiny_tasks

SANDBOX = {"min_isolation": "rlimits", "workers": 1}
TASKS = tiny_tasks(6)


def settings(**own) -> GrpoSettings:
    return GrpoSettings(**{"group": 4, "prompts": 3, "max_tokens": 64, "sandbox": SANDBOX, **own})


def test_a_budget_of_programs(tmp_path: Path) -> None:
    summary = train_grpo(coder_path(), TASKS, settings(programs=27), 0, tmp_path / "grpo")
    assert summary.spent.programs == 24
    assert (summary.steps, summary.rows) == (2, 24)
    assert len(summary.facts["rewards"]) == 2
    assert summary.facts["no_verdict"] == 0
    assert summary.spent.prompt_tokens > 24 * 5
    assert 24 < summary.spent.completion_tokens <= 24 * 64
    assert summary.model == str(tmp_path / "grpo" / "model")
    assert differs_from_the_coder(Path(summary.model))
    assert json.loads((tmp_path / "grpo" / FINISHED).read_text())["spent"]["programs"] == 24


def test_a_batch_that_is_learned_twice_is_generated_once(tmp_path: Path) -> None:
    summary = train_grpo(coder_path(), TASKS, settings(programs=12, iterations=2), 0, tmp_path / "grpo")
    assert (summary.spent.programs, summary.steps) == (12, 2)


def test_a_budget_of_time_ends_before_a_step_that_would_not_fit(tmp_path: Path) -> None:
    """The first step is always made, and here nothing else fits."""
    summary = train_grpo(coder_path(), TASKS, settings(wall_s=0.01), 0, tmp_path / "grpo")
    assert (summary.steps, summary.spent.programs) == (1, 12)
    assert differs_from_the_coder(Path(summary.model))


def test_a_cut_training_leaves_no_model_and_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = CodeReward.score

    def second_is_cut(reward: CodeReward, *batch):
        if reward.metrics.batches:
            raise KeyboardInterrupt
        return score(reward, *batch)

    with monkeypatch.context() as cut:
        cut.setattr(CodeReward, "score", second_is_cut)
        with pytest.raises(KeyboardInterrupt):
            train_grpo(coder_path(), TASKS, settings(programs=24), 0, tmp_path / "grpo")
    assert not (tmp_path / "grpo" / "model").exists()
    assert not (tmp_path / "grpo" / FINISHED).exists()
    summary = train_grpo(coder_path(), TASKS, settings(programs=24), 0, tmp_path / "grpo")
    assert summary.resumed
    assert (summary.spent.programs, summary.steps) == (24, 2)


def test_programs_come_from_the_weights_as_they_are_now() -> None:
    """Greedy, so that transformers' own `generate` says what they must be; the second batch after a change."""
    import torch
    from accelerate import Accelerator
    from benchmarks.lab.trainers.rollouts import Rollouts
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(coder_path())
    network = AutoModelForCausalLM.from_pretrained(coder_path(), dtype="float32").eval()
    rollouts = Rollouts(coder_path(), tokenizer, "cpu", 0, temperature=0.0, max_tokens=40)
    trainer = SimpleNamespace(model=network, accelerator=Accelerator(cpu=True))
    prompts = [[message.model_dump() for message in as_messages(task.prompt)] for task in TASKS[:2] for _ in range(2)]
    found = []
    for _ in range(2):
        made = rollouts(prompts, trainer)
        for row, prompt in enumerate(made["prompt_ids"]):
            expected = network.generate(torch.tensor([prompt]), max_new_tokens=40, do_sample=False)[0, len(prompt) :]
            assert made["completion_ids"][row] == expected.tolist()
        found.append(made["completion_ids"])
        with torch.no_grad():
            network.model.layers[0].mlp.down_proj.weight.mul_(-1.0)
    assert found[0] != found[1]
    assert rollouts.spent.programs == 8


def test_samples_of_a_prompt_differ_and_come_again_with_the_seed() -> None:
    from accelerate import Accelerator
    from benchmarks.lab.trainers.rollouts import Rollouts
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(coder_path())
    trainer = SimpleNamespace(
        model=AutoModelForCausalLM.from_pretrained(coder_path(), dtype="float32"), accelerator=Accelerator(cpu=True)
    )
    prompts = [[message.model_dump() for message in as_messages(TASKS[0].prompt)]] * 8
    one, same, other = (
        Rollouts(coder_path(), tokenizer, "cpu", seed, 2.0, 40)(prompts, trainer)["completion_ids"]
        for seed in (0, 0, 1)
    )
    assert one == same != other
    assert len({tuple(row) for row in one}) > 1
