"""The demo: the whole method on the playground, with its controls and its numbers. Nothing in it is prepared.

Beside the arrows of `pipeline` it draws independent programs for the same tasks, as many calls per task at most as
debugging may use, and compares the model before and after training task by task. It trains by what was found ahead on
these tasks, SFT on the fixes (docs/results.md), and beside it by the paper's best loss on the same pairs; with other
keys of `training`, which may mean nothing to that loss, by these alone.
Planted misconceptions show that the machinery works; they don't show that the method wins on real models.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.errors import StoreError
from iterpref.opened_run import OpenedRun
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Result, fingerprint
from iterpref.run_folder import DEFAULT_TRAINING, DEMO_NOTE, RunFolder
from iterpref.store import Store

if TYPE_CHECKING:
    from iterpref.analysis.compare import Comparison

CONFIG: dict[str, Any] = {
    "sandbox": {"min_isolation": "rlimits"},  # its programs are those of a coder that ships with the package
    "debugging": {"sampling": {"temperature": 0.8, "max_tokens": 192}},
    "pairing": {"negatives": "each"},
    "training": {
        "method": "sft",
        "num_train_epochs": 2,
        "learning_rate": 3.0e-4,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "max_length": 512,
        "train_sampling_strategy": "group_by_length",
        "precompute_ref_log_probs": True,
        "gradient_checkpointing": False,
        "bf16": False,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 5,
        "logging_steps": 1,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
        "report_to": "none",
    },
    "evaluation": {"benchmark": "playground", "split": "held_out", "tasks": 300, "sampling": {"max_tokens": 192}},
}
PAPER_METHOD = "target_rpo"


def demo_config(quick: bool = False) -> dict[str, Any]:
    """The demo's configuration; `quick` is a smaller laboratory for CI."""
    evaluation = CONFIG["evaluation"] | {"tasks": 100}
    small = {"playground": {"train_tasks": 120, "held_out_tasks": 100}, "evaluation": evaluation}
    return CONFIG | small if quick else CONFIG


def claim(store: Store, config: Config) -> dict[str, Any]:
    """Note in a run folder, before anything else, that it holds the demo of this configuration.

    Raises:
        StoreError: It holds a demo with other settings.
    """
    values = config.model_dump(mode="json")
    note = store.note(DEMO_NOTE) or {"config": values, "summary": None}
    settings = _settings(note, store)
    if settings is None or settings.model_dump(mode="json") != values:
        raise StoreError(f"{store.folder}: holds a demo with other settings (config.yaml); choose another --run")
    claimed = {"config": values, "summary": note["summary"]}
    store.put_note(DEMO_NOTE, claimed)
    return claimed


def _settings(note: dict[str, Any], store: Store) -> Config | None:
    """The configuration of a noted demo. Earlier versions noted a hash of its config.yaml; None if that was changed."""
    if "config" in note:
        return load_config(base=note["config"], of_run=True)
    stored = RunFolder(store.folder).config
    unchanged = stored.is_file() and fingerprint(stored.read_text(encoding="utf-8")) == note["identity"]
    return load_config(stored, of_run=True) if unchanged else None


def demo(run: OpenedRun) -> dict[str, Any]:
    """Run the demo in a run folder and return its numbers; a finished one is only read."""
    note = claim(run.store, run.config)
    if note["summary"] and run.folder.report.is_file():
        return dict(note["summary"])
    from iterpref import pipeline  # here, so that the command line can say its first line before a second has passed
    from iterpref.analysis.funnel import pass_rate_by_iteration

    started = time.monotonic()
    run.store.put_tasks(playground_tasks("train", run.config.playground.train_tasks, run.config.seed))
    before = pipeline.evaluate(run, run.config.model)
    pipeline.debug(run)
    sampling_mode = run.config.debugging.model_copy(update={"mode": "sampling"})
    pipeline.debug(replace(run, config=run.config.model_copy(update={"debugging": sampling_mode})))
    pipeline.pair(run)
    training = run.config.training
    papers = training | {"method": PAPER_METHOD}
    own = training == CONFIG["training"]
    beside = [_gain(papers, _trained(run, before, papers, PAPER_METHOD))] if own else []
    trained = _trained(run, before, training, DEFAULT_TRAINING)  # last, for the report is of the last result
    iterations = run.config.debugging.max_iterations
    sampling = pass_rate_by_iteration(run.store.trajectories("sampling"), iterations)
    summary = {
        "pass_rate_by_iteration": pass_rate_by_iteration(run.store.trajectories("debugging"), iterations),
        "sampling_pass_rate_by_draw": sampling,
        "sampling_pass_rate": sampling[-1],
        "pairs": run.store.count_kept_pairs(),
        "base_pass_at_1": trained.first_pass_at_k,
        **_gain(training, trained),
        **({"beside": beside} if beside else {}),
        "seconds": round(time.monotonic() - started, 1),
    }
    run.store.put_note(DEMO_NOTE, note | {"summary": summary})
    pipeline.report(run)
    return summary


def _trained(run: OpenedRun, before: Result, training: dict[str, Any], name: str) -> "Comparison":
    """Train on the run's pairs, and compare with `before`."""
    from iterpref import pipeline
    from iterpref.analysis.compare import compare

    pipeline.train(run.folder, run.config.model_copy(update={"training": training}), run.on_progress, name)
    return compare(before, pipeline.evaluate(run, str(run.folder.training(name))))


def _gain(training: dict[str, Any], comparison: "Comparison") -> dict[str, Any]:
    return {
        "method": training["method"],
        "trained_pass_at_1": comparison.second_pass_at_k,
        "won": len(comparison.won),
        "lost": len(comparison.lost),
        "mcnemar_p": comparison.mcnemar_p,
    }
