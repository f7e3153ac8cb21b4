"""The entry function: what a run leaves behind, and what a killed or a repeated run does. The kills are real."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import trl
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import iterpref.training
from iterpref.errors import ClientError, ConfigError, TrainingError
from iterpref.training import resuming
from iterpref.training import trainer as trainer_module
from iterpref.training.train import train

from .conftest import example_pairs, make_pair, write_pairs

CONFIG = {
    "method": "target_rpo",
    "gradient_checkpointing": False,
    "use_cpu": True,
    "per_device_train_batch_size": 2,
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_steps": 2,
}


@pytest.fixture
def run(tmp_path, workshop):
    """`run(out, **changes)` trains on six pairs in `tmp_path/out`."""
    pairs = write_pairs(tmp_path / "pairs", example_pairs(chat=True))
    model = workshop(chat=True)[0]

    def start(out="out", *, resume=True, on_progress=None, **changes):
        config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
        return train(pairs, model, tmp_path / out, config, resume=resume, on_progress=on_progress)

    return start


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_weights(one: Path, other: Path) -> None:
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)


def test_what_a_run_leaves_behind(tmp_path, run, workshop):
    progress = []
    summary = run(on_progress=lambda step, steps, metrics: progress.append((step, steps, dict(metrics))))
    assert (summary.pairs, summary.trained_pairs, summary.dropped, summary.steps) == (6, 6, {}, 6)
    assert not summary.repeated and summary.resumed_step is None
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    assert [entry["step"] for entry in log] == [1, 2, 3, 4, 5, 6, 6]
    assert {"rewards/rejected_focal", "logps/rejected_focal", "rewards/chosen", "rewards/margins"} <= set(log[0])
    assert not {"rewards/rejected", "logps/rejected"} & set(log[0])
    assert (progress[0][:2], progress[-1][:2]) == ((0, 6), (6, 6))
    assert progress[-1][2]["train_loss"] == pytest.approx(summary.train_loss)
    assert log[-2]["loss"] < log[0]["loss"]
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) == trained.config.vocab_size
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "after 6 steps of `target_rpo` on 6 preference pairs" in card
    assert "base_model" not in card and "library_name: transformers" in card  # of a folder here nobody knows anything
    before = weights(Path(workshop(chat=True)[0]))
    assert any(not torch.equal(before[name], value) for name, value in weights(tmp_path / "out").items())


def test_a_finished_run_is_not_repeated(tmp_path, run):
    first = run()
    written = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    second = run(on_progress=lambda *_: pytest.fail("trained again"))
    assert second == first.model_copy(update={"repeated": True})
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == written


def test_other_settings_need_another_folder(tmp_path, run):
    run()
    with pytest.raises(
        TrainingError, match=r"finished training with other settings: learning_rate: 0\.001 there, 0\.002 now\. "
    ):
        run(learning_rate=2e-3)
    assert run(learning_rate=2e-3, resume=False).resumed_step is None
    run("fresh", learning_rate=2e-3)
    assert_same_weights(tmp_path / "out", tmp_path / "fresh")


def test_other_pairs_or_another_model_need_another_folder(tmp_path, run, workshop):
    run()
    write_pairs(tmp_path / "pairs", example_pairs(chat=True)[:5])
    with pytest.raises(TrainingError, match=r"pairs: .* there, .* now"):
        run()
    write_pairs(tmp_path / "pairs", example_pairs(chat=True))
    assert run().repeated
    other = workshop("gpt2", chat=True)[0]
    with pytest.raises(TrainingError, match="model: "):
        train(tmp_path / "pairs", other, tmp_path / "out", CONFIG)


_KILLED_RUN = """
import json, sys, time
from iterpref.training.train import train
pairs, model, out, config, slow = sys.argv[1:]
def report(step, steps, metrics):
    print(step, flush=True)
    time.sleep(float(slow))
train(pairs, model, out, json.loads(config), on_progress=report)
"""


@pytest.mark.parametrize("precompute", [False, True])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, run, workshop, precompute):
    """SIGKILL after step 3 of 6, with the checkpoint of step 2 complete and one of step 4 half written."""
    run("undisturbed", precompute_ref_log_probs=precompute)
    config = json.dumps({**CONFIG, "precompute_ref_log_probs": precompute})
    arguments = [tmp_path / "pairs", workshop(chat=True)[0], tmp_path / "killed", config, 0.2]
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED_RUN, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.strip() == "3":
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait(timeout=500) == -signal.SIGKILL
    half_written = tmp_path / "killed" / "checkpoint-4"
    half_written.mkdir()
    (half_written / "model.safetensors").write_bytes(b"half")
    summary = run("killed", precompute_ref_log_probs=precompute)
    assert (summary.resumed_step, summary.steps) == (2, 6)
    assert_same_weights(tmp_path / "undisturbed", tmp_path / "killed")
    logs = [json.loads((tmp_path / name / "training_log.json").read_text()) for name in ("undisturbed", "killed")]
    assert [entry.get("loss") for entry in logs[0]] == [entry.get("loss") for entry in logs[1]]


def test_a_run_killed_after_its_last_step_is_completed(tmp_path, run):
    finished = run()
    run_file = tmp_path / "out" / resuming.TRAINING_RUN
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "summary": None}))
    (tmp_path / "out" / "model.safetensors").unlink()
    again = run()
    assert (again.resumed_step, again.steps, again.repeated) == (6, finished.steps, False)
    assert_same_weights(tmp_path / "out", tmp_path / "out" / "checkpoint-6")


def test_precomputed_references_change_nothing(tmp_path, run):
    run("computed")
    run("precomputed", precompute_ref_log_probs=True)
    one, other = weights(tmp_path / "computed"), weights(tmp_path / "precomputed")
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_precomputed_references_are_kept_and_follow_the_mask(tmp_path, run):
    """Masks and truncation are part of the key under which reference values are kept."""

    def cached():
        return sorted(path.name for path in (tmp_path / "out" / "reference_cache").glob("*/cache-*.arrow"))

    settings = {"precompute_ref_log_probs": True, "resume": False}
    run(**settings)
    first = cached()
    run(**settings, learning_rate=1e-2)
    assert cached() == first and len(first) == 1
    run(**settings, method="rpo")
    run(**settings, max_length=70)
    assert len(cached()) == 3


@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
def test_trainings_share_a_cache_of_references(tmp_path, run, strategy):
    """Another rate finds the values of the first training; where they are kept is no part of a training's identity."""
    own = {"precompute_ref_log_probs": True, "train_sampling_strategy": strategy}
    settings = {**own, "reference_cache": str(tmp_path / "shared")}
    run("own", **own, learning_rate=1e-2)
    run("first", **settings)
    [values] = (tmp_path / "shared").glob("*/cache-*.arrow")
    before = values.stat()
    run("second", **settings, learning_rate=1e-2)
    assert [*(tmp_path / "shared").glob("*/cache-*.arrow")] == [values]
    assert (values.stat().st_ino, values.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert_same_weights(tmp_path / "own", tmp_path / "second")
    assert run("second", **own, learning_rate=1e-2).repeated


def test_sft_loads_no_reference_and_logs_no_rewards(tmp_path, run):
    run(method="sft")
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    assert {"loss", "logps/chosen", "mean_token_accuracy"} <= set(log[0])
    assert not [name for name in log[0] if name.startswith("rewards/") or "rejected" in name]
    assert not (tmp_path / "out" / "reference_cache").exists()


def test_sft_runs_the_chosen_rows_only(tmp_path, workshop):
    from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs

    model, tokenizer = workshop()
    pairs = read_pairs(write_pairs(tmp_path / "pairs", example_pairs()))
    args = FocalDPOConfig(output_dir=str(tmp_path / "out"), use_cpu=True, method="sft")
    trainer = FocalDPOTrainer(model, args=args, train_dataset=pairs, processing_class=tokenizer)
    rows = []
    trainer.model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    assert len(batch["input_ids"]) == 8
    trainer.compute_loss(trainer.model, batch).backward()
    assert rows == [4]


def test_pairs_can_be_batched_by_length(tmp_path, workshop):
    """Pairs of two lengths, mixed: batches by length need less padding, so fewer positions are run."""
    from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs

    long = [make_pair(f"long-{i}", "Write f!\n", ["a = 1"] * 30 + [">b"], ["a = 1"] * 30 + [">c"]) for i in range(32)]
    short = [make_pair(f"short-{i}", "Write f!\n", [">b"], [">c"]) for i in range(32)]
    mixed = [pair for two in zip(long, short, strict=True) for pair in two]
    model, tokenizer = workshop()
    pairs = read_pairs(write_pairs(tmp_path / "pairs", mixed))
    settings = {"output_dir": str(tmp_path / "out"), "use_cpu": True, "per_device_train_batch_size": 4}
    positions = {}
    for strategy in ("random", "group_by_length"):
        args = FocalDPOConfig(**settings, train_sampling_strategy=strategy)
        trainer = FocalDPOTrainer(model, args=args, train_dataset=pairs, processing_class=tokenizer)
        positions[strategy] = sum(batch["input_ids"].numel() for batch in trainer.get_train_dataloader())
    assert positions["group_by_length"] < 0.8 * positions["random"]


def test_plain_dpo_keeps_the_names_of_its_metrics(tmp_path, run):
    run(method="dpo")
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    assert {"rewards/rejected", "logps/rejected"} <= set(log[0])


def test_dropped_pairs_are_counted(tmp_path, workshop):
    lines = ["```python", "def f(x):", ">    x += 1", "    return x", "```"]
    insert = make_pair("insert", "Write f!\n", lines, [line for line in lines if not line.startswith(">")])
    pairs = write_pairs(tmp_path / "pairs", [*example_pairs(), insert])
    summary = train(pairs, workshop()[0], tmp_path / "out", CONFIG)
    assert (summary.pairs, summary.trained_pairs, summary.dropped) == (7, 6, {"no_focal_token": 1})


def test_evaluation_pairs_get_focal_metrics(tmp_path, workshop):
    from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs

    model, tokenizer = workshop()
    pairs = read_pairs(write_pairs(tmp_path / "pairs", example_pairs()))
    args = FocalDPOConfig(output_dir=str(tmp_path / "out"), use_cpu=True, per_device_eval_batch_size=3)
    trainer = FocalDPOTrainer(model, args=args, train_dataset=pairs, eval_dataset=pairs, processing_class=tokenizer)
    metrics = trainer.evaluate()
    assert metrics["eval_rewards/rejected_focal"] == 0.0  # the policy still is the reference
    assert trainer.evaluate(pairs)["eval_loss"] == pytest.approx(metrics["eval_loss"])


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such folder; a hub id"), ("{}", r"the folder has no weights .* and no tokenizer")],
)
def test_a_model_that_does_not_load(tmp_path, run, content, message):
    pairs = write_pairs(tmp_path / "pairs", example_pairs())
    model = tmp_path / "model"
    if content:
        model.mkdir()
        (model / "config.json").write_text(content)
    with pytest.raises(ClientError, match=f"model {model}: {message}"):
        train(pairs, str(model), tmp_path / "out", CONFIG)


def test_unknown_keys_fail_before_anything_is_written(tmp_path, run):
    with pytest.raises(ConfigError, match="did you mean learning_rate"):
        run(learning_rte=1.0)
    assert not (tmp_path / "out").exists()


def test_another_trl_is_refused(run, monkeypatch):
    monkeypatch.setattr(trl, "__version__", "1.17.0")
    with pytest.raises(TrainingError, match=r"TRL 1\.17\.0 is installed, but this trainer extends TRL 1\.16"):
        run()
    monkeypatch.setattr(trl, "__version__", "1.16.3")
    trainer_module.check_trl()


def test_settings_that_trl_refuses_are_told(run):
    with pytest.raises(ConfigError, match=r"eval_strategy=\w+ needs pairs to evaluate on"):
        run(eval_strategy="epoch")
    with pytest.raises(TrainingError, match=r"can't start with these settings: .*nosuch"):
        run("other", report_to="nosuch")


@pytest.mark.parametrize(
    ("package", "settings", "error", "message"),
    [
        ("bitsandbytes", {"optim": "adamw_bnb_8bit"}, TrainingError, r"can't start .*install `bitsandbytes`"),
        ("deepspeed", {"deepspeed": "ds.json"}, ConfigError, r"training: .*deepspeed.* was not found"),
    ],
)
def test_a_package_that_a_setting_needs(run, package, settings, error, message):
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(error, match=message):
        run(**settings)


def test_checkpoints_of_others_are_not_touched(tmp_path, run):
    theirs = tmp_path / "out" / "checkpoint-100"
    theirs.mkdir(parents=True)
    for resume in (True, False):
        with pytest.raises(TrainingError, match="holds checkpoints that no run of ours left there"):
            run(resume=resume)
    assert theirs.is_dir()


def test_a_checkpoint_that_lost_a_file_is_not_resumed_from(tmp_path, run):
    """Deleting old checkpoints (save_total_limit) may be cut short too."""
    run()
    run_file = tmp_path / "out" / resuming.TRAINING_RUN
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "summary": None}))
    (tmp_path / "out" / "checkpoint-6" / "optimizer.pt").unlink()
    assert run().resumed_step == 4
    assert_same_weights(tmp_path / "out", tmp_path / "out" / "checkpoint-6")


def test_a_damaged_run_file_is_told(tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / resuming.TRAINING_RUN).write_text("{")
    with pytest.raises(TrainingError, match=r"training_run\.json: can't be read"):
        run()


def test_the_usage_in_the_docstring_works(tmp_path, workshop, monkeypatch):
    """Run as it is written, with pairs and a model where it names them."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "runs" / "a" / "pairs", example_pairs(chat=True))
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "model").symlink_to(workshop(chat=True)[0])
    row = {"prompt": "Write f.", "chosen": "a = 1\n", "rejected": "a = 2\n"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row))
    usage = [line for line in (iterpref.training.__doc__ or "").splitlines() if line.startswith("    ")]
    exec("\n".join(line.removeprefix("    ") for line in usage), {})
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert (tmp_path / "out-2" / "checkpoint-10").is_dir()


def test_importing_the_entry_loads_no_torch():
    code = "import sys, iterpref.training, iterpref.training.resuming as _; "
    code += "print(sorted({'torch', 'trl', 'transformers'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert output.stdout.strip() == "[]"
