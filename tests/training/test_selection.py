"""Which checkpoint becomes the model, and that choosing survives a kill and changes nothing else."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from iterpref import pipeline
from iterpref.config import SelectionConfig
from iterpref.config.load import parse_config
from iterpref.errors import ConfigError, TrainingError
from iterpref.evaluation.checkpoint_scorer import validation_tasks
from iterpref.opened_run import OpenedRun
from iterpref.playground.tasks import playground_tasks
from iterpref.run_folder import RunFolder
from iterpref.store import Store
from iterpref.training.train import train

from .conftest import example_pairs, make_pair, write_pairs

CONFIG = {
    "gradient_checkpointing": False,
    "use_cpu": True,
    "per_device_train_batch_size": 2,
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "save_steps": 2,
    "report_to": "none",
}
SCORES = {2: 0.25, 4: 0.5, 6: 0.5}


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture
def run(tmp_path, workshop):
    """`run(out, scorer, **changes)`: six steps on six pairs, a checkpoint every other step."""
    pairs = write_pairs(tmp_path / "pairs", example_pairs(chat=True))

    def start(out, scorer, **changes):
        config = CONFIG | ({"selection": {}} if scorer else {}) | changes
        return train(pairs, workshop(chat=True)[0], tmp_path / out, config, scorer=scorer)

    return start


def test_the_first_of_the_best_checkpoints_becomes_the_model(tmp_path, run):
    summary = run("out", lambda checkpoint: {"pass@1": SCORES[step_of(checkpoint)]}, save_total_limit=2)
    assert summary.selected_step == 4
    assert summary.validation == {"2": 0.25, "4": 0.5, "6": 0.5}
    assert {path.name for path in (tmp_path / "out").glob("checkpoint-*")} == {"checkpoint-4", "checkpoint-6"}
    torch.testing.assert_close(weights(tmp_path / "out"), weights(tmp_path / "out" / "checkpoint-4"), rtol=0, atol=0)
    run("unselected", None)
    unselected = tmp_path / "unselected"  # scoring changes nothing about training
    last = weights(tmp_path / "out" / "checkpoint-6")
    torch.testing.assert_close(weights(unselected), last, rtol=0, atol=0)
    assert any(not torch.equal(weights(tmp_path / "out")[name], value) for name, value in last.items())


def test_a_run_killed_while_scoring_scores_that_checkpoint_first(tmp_path, run):
    scored = []

    def scorer(checkpoint: Path, dies_at: int | None = None) -> dict[str, float]:
        scored.append(step_of(checkpoint))
        if scored[-1] == dies_at:
            raise KeyboardInterrupt
        return {"pass@1": SCORES[step_of(checkpoint)]}

    with pytest.raises(KeyboardInterrupt):
        run("out", lambda checkpoint: scorer(checkpoint, dies_at=4))
    assert json.loads((tmp_path / "out" / "validation.json").read_text()) == {"2": {"pass@1": 0.25}}
    summary = run("out", scorer)
    assert (summary.resumed_step, summary.selected_step, scored) == (4, 4, [2, 4, 4, 6])


def test_selection_and_scorer_belong_together(run):
    with pytest.raises(TrainingError, match="selection needs a scorer"):
        run("out", None, selection={})


def tasks_in(tmp_path: Path, task_id: str = "mine/1") -> str:
    task = playground_tasks("validation", 1)[0].model_copy(update={"task_id": task_id})
    path = tmp_path / "tasks.jsonl"
    path.write_text(task.model_dump_json() + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"benchmark": "humaneval+"}, "humaneval. measures the finished model; take benchmark: playground"),
        ({"benchmark": "livecodebench-v5"}, "livecodebench-v5 measures the finished model"),
        ({"benchmark": "mbpp+"}, "mbpp. measures the finished model; take .* mbpp-full"),
        ({"benchmark": "mbpp-full", "split": "test"}, "split is test, but the mbpp-full has validation for this"),
        ({"benchmark": "mbpp-full", "split": None}, "split is None, but the mbpp-full has validation"),
        ({"split": "held_out"}, "split is held_out, but the playground has validation for this"),
        ({"split": None}, "split is None"),
        ({"benchmark": "my-tasks"}, "benchmark my-tasks: unknown"),
    ],
)
def test_what_must_not_choose(selection, message):
    with pytest.raises(ConfigError, match=message):
        validation_tasks(SelectionConfig(**selection), parse_config({}))


def test_a_file_must_be_of_tasks_of_ones_own(tmp_path):
    path = tasks_in(tmp_path)
    assert len(validation_tasks(SelectionConfig(benchmark=path), parse_config({})).tasks) == 1
    evaluated = parse_config({"evaluation": {"benchmark": path, "split": "validation"}})
    with pytest.raises(ConfigError, match="the run is evaluated on the same tasks"):
        validation_tasks(SelectionConfig(benchmark=path), evaluated)
    path = tasks_in(tmp_path, "HumanEval/12")
    with pytest.raises(ConfigError, match="holds HumanEval/12, a benchmark's task"):
        validation_tasks(SelectionConfig(benchmark=path), parse_config({}))


@pytest.fixture
def mbpp(monkeypatch, write_rows) -> Path:
    """A file in the form of MBPP, two tasks of each split."""
    ids = (1, 2, 11, 12, 511, 600, 601, 974)
    rows = [{"task_id": n, "text": f"Write f{n}.", "code": f"def f{n}():\n    return {n}", "test_setup_code": "",
             "test_list": [f"assert f{n}() == {n}"]} for n in ids]  # fmt: skip
    path = write_rows(*rows, name="mbpp.jsonl")
    monkeypatch.setenv("ITERPREF_MBPP_FULL_PATH", str(path))
    return path


def test_mbpp_s_validation_tasks_may_choose(mbpp):
    selection = SelectionConfig(benchmark="mbpp-full")
    assert [task.task_id for task in validation_tasks(selection, parse_config({})).tasks] == ["Mbpp/511", "Mbpp/600"]
    measured = {"benchmark": "mbpp+", "split": "test"}
    assert validation_tasks(selection, parse_config({"evaluation": measured})).tasks


@pytest.mark.parametrize("benchmark", ["mbpp", "mbpp+", "mbpp-full", "mbpp-sanitized"])
@pytest.mark.parametrize("split", [None, "validation"])
def test_not_where_the_run_is_evaluated_on_them(mbpp, benchmark, split):
    config = parse_config({"evaluation": {"benchmark": benchmark, "split": split}})
    with pytest.raises(ConfigError, match="holds Mbpp/511, which the run is evaluated on"):
        validation_tasks(SelectionConfig(benchmark="mbpp-full"), config)


@pytest.mark.parametrize(("number", "fits"), [(510, False), (511, True), (600, True), (601, False), ("x", False)])
def test_a_file_of_mbpp_s_tasks_may_hold_those_for_validation(tmp_path, number, fits):
    selection, config = SelectionConfig(benchmark=tasks_in(tmp_path, f"Mbpp/{number}")), parse_config({})
    if fits:
        assert validation_tasks(selection, config).tasks
    else:
        with pytest.raises(ConfigError, match=f"holds Mbpp/{number}, a benchmark's task"):
            validation_tasks(selection, config)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [{}, {"use_peft": True}], ids=["all weights", "adapter"])
def test_the_playground_chooses_by_execution(tmp_path, adapter):
    """Scores are those of an evaluation of the same checkpoints, and the finished model has the best one."""
    made = []
    for task in playground_tasks("train", 8):
        lines = ["```python", *task.reference.rstrip().split("\n"), "```"]
        at = max(i for i, line in enumerate(lines) if line.strip().startswith("return"))
        chosen, rejected = list(lines), list(lines)
        chosen[at], rejected[at] = ">" + lines[at], ">" + lines[at].replace("return", "return not")
        made.append(make_pair(task.task_id, task.prompt, chosen, rejected))
    training = CONFIG | adapter | {"learning_rate": 3e-4, "selection": {"tasks": 12, "max_tokens": 128}}
    evaluation = {"split": "validation", "tasks": 12, "sampling": {"max_tokens": 128}}
    config = parse_config({"training": training, "evaluation": evaluation, "sandbox": {"min_isolation": "rlimits"}})
    write_pairs(tmp_path / "run" / "pairs", made)
    summary = pipeline.train(RunFolder(tmp_path / "run"), config)
    assert len(summary.validation) == 4
    assert summary.validation[str(summary.selected_step)] == max(summary.validation.values())
    with Store.open(tmp_path / "other") as store:
        result = pipeline.evaluate(OpenedRun(store, config), summary.output_dir)
    assert result.metrics["pass@1"] == pytest.approx(max(summary.validation.values()))
