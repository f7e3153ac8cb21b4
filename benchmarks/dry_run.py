"""How far are a dry run's memory and time from what a training on this machine really takes?

    python -m benchmarks.dry_run --calibrate      # on one shape: what calibration.py holds
    python -m benchmarks.dry_run --models playground smollm2-135m FOLDER --json dry_run.json      # on shapes not seen

A model is a folder (without weights it gets random ones), `playground`, or a shape below. It is planned, and then
trained for one epoch on the library pairs (training_pairs.py), each in a process of its own on OMP_NUM_THREADS threads
(default 1). Memory is the peak of the process, libraries included; `over` is it without what was held before the model
was loaded. Time is the mean of all steps but the first. For an idle machine; beside other work, `--cpu-time` takes the
process's own clock for both.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parent))

CALIBRATION = "calibration"
# Llama shapes: vocabulary, hidden size, feed-forward, layers, heads, heads of keys and values.
SHAPES = {CALIBRATION: (8000, 384, 1024, 6, 6, 6), "smollm2-135m": (49152, 576, 1536, 30, 9, 3)}
SETTINGS = {
    "method": "target_rpo",
    "max_length": 1024,
    "per_device_train_batch_size": 2,
    "num_train_epochs": 1,
    "learning_rate": 1e-6,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "report_to": "none",
}
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "checkpointing": {"gradient_checkpointing": True},
    "lora": {"use_peft": True, "lora_r": 16, "lora_target_modules": "all-linear", "merge_adapter": False},
}

Figures = dict[str, Any]


def prepare(model: str, work: Path) -> str:
    """The folder of a model with weights and a tokenizer, and beside it the pairs."""
    from training_pairs import groups

    from iterpref.pairing import write_dataset
    from iterpref.playground.coder import resolve_model
    from iterpref.training import read_pairs
    from iterpref.training.dry_run.words import word_tokenizer

    if not (work / "pairs").exists():
        write_dataset(work / "pairs", (pair for group in groups() for pair in group), lambda: "Library pairs.")
    given = Path(resolve_model(model))
    if model not in SHAPES and any(given.glob("*.safetensors")):
        return str(given)
    folder = work / given.name
    if not folder.exists():
        _random_model(model, given, folder)
        if not any(folder.glob("tokenizer*")):
            word_tokenizer(read_pairs(work / "pairs")).save_pretrained(folder)
    return str(folder)


def _random_model(model: str, given: Path, folder: Path) -> None:
    import shutil

    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    if model in SHAPES:
        vocabulary, hidden, feed_forward, layers, heads, pairs = SHAPES[model]
        config = LlamaConfig(
            vocab_size=vocabulary, hidden_size=hidden, intermediate_size=feed_forward, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=pairs, tie_word_embeddings=True,
            max_position_embeddings=2048, bos_token_id=None, eos_token_id=3,
        )  # fmt: skip
    else:
        config = AutoConfig.from_pretrained(given)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    for path in [] if model in SHAPES else given.glob("*token*"):
        shutil.copy(path, folder)


def predict(job: Figures) -> Figures:
    """What the dry run says; for each of `constants` in place of those of calibration.py, at one measured speed."""
    from iterpref.training.dry_run import memory, plan, work

    plan.measured_speed = cache(partial(plan.measured_speed, elapsed=_clock(job)))  # type: ignore[assignment]
    found = []
    for constants in job.get("constants", [{}]):
        for module, name in ((memory, "WORKING_LAYERS"), (work, "PASSES")):
            setattr(module, name, constants.get(name, getattr(module, name)))
        said = plan.dry_run(job["pairs"], job["model"], job["settings"], device="cpu")
        peak, parts = said.memory.peak_bytes, said.memory.model_dump()
        found.append({"memory_bytes": peak, "over_bytes": peak - said.memory.libraries_bytes, "step_s": said.step_s,
                      "parameters": said.parameters, "steps": said.steps, "parts": parts})  # fmt: skip
    return {**found[0], "each": found}


def measure(job: Figures) -> Figures:
    """One epoch of the training itself."""
    import datasets  # noqa: F401
    import peft  # noqa: F401
    from training_worker import _status_bytes

    from iterpref.training import FocalDPOTrainer, train  # noqa: F401 (the trainer's libraries, before memory is read)

    clock, ends, counted = _clock(job), [], [-1]

    def on_progress(step: int, steps: int, metrics: Any) -> None:
        if step > counted[0]:
            counted[0] = step
            ends.append(clock())

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak (proc(5))
    before = _status_bytes("VmRSS")
    train(job["pairs"], job["model"], job["out"], job["settings"], on_progress=on_progress)
    steps = [later - earlier for earlier, later in pairwise(ends)][1:]  # the first one also tries ways of attention
    peak = _status_bytes("VmHWM")
    return {"memory_bytes": peak, "over_bytes": peak - before, "step_s": sum(steps) / len(steps)}


def _clock(job: Figures) -> Callable[[], float]:
    return time.process_time if job["cpu_time"] else time.perf_counter


def _ask(what: str, job: Figures) -> Figures:
    """Do it in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dry_run", "--worker", what, json.dumps(job)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{what} of {job['model']} stopped with status {answer.returncode}; its messages are above")
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def compare(model: str, way: str, work: Path, options: argparse.Namespace) -> Figures | None:
    """Predicted and measured figures of one model and way; None where it would not fit into memory."""
    from iterpref.model_source.memory import free_on_machine

    job = _job(model, way, work, options)
    said, room = _ask("predict", job), free_on_machine()
    if room is not None and said["memory_bytes"] > 0.8 * room.free:
        print(
            f"{model} {way}: left out, it needs {said['memory_bytes'] / 1e9:.1f} GB of {room.free / 1e9:.1f}",
            flush=True,
        )
        return None
    found = _ask("measure", job)
    row = {"model": Path(model).name, "way": way, "predicted": said, "measured": found}
    row |= {f"{name}_ratio": found[name] / said[name] for name in ("memory_bytes", "over_bytes", "step_s")}
    memory, step = ([figures[name] for figures in (said, found)] for name in ("memory_bytes", "step_s"))
    print(
        f"{row['model']} {way}, predicted and measured: memory {memory[0] / 1e9:.2f} and {memory[1] / 1e9:.2f} GB "
        f"({memory[1] / memory[0]:.2f}; over the libraries {row['over_bytes_ratio']:.2f}), a step {step[0]:.2f} and "
        f"{step[1]:.2f} s ({step[1] / step[0]:.2f})",
        flush=True,
    )
    return row


def _job(model: str, way: str, work: Path, options: argparse.Namespace) -> Figures:
    out = tempfile.mkdtemp(dir=work)
    settings = SETTINGS | WAYS[way] | json.loads(options.settings)
    return {"model": prepare(model, work), "pairs": str(work / "pairs"), "out": str(Path(out) / "model"),
            "settings": settings, "cpu_time": options.cpu_time}  # fmt: skip


def calibrate(work: Path, options: argparse.Namespace) -> Figures:
    """The constants with which prediction and measurement agree on the one shape."""
    job = _job(CALIBRATION, "full", work, options)
    found = _ask("measure", job)
    ends = [{"WORKING_LAYERS": {"cpu": value}, "PASSES": value} for value in (0, 20)]
    said = _ask("predict", job | {"constants": ends})["each"]
    constants = {}
    for name, figure in (("WORKING_LAYERS", "memory_bytes"), ("PASSES", "step_s")):
        none, some = (prediction[figure] for prediction in said)
        constants[name] = round(20 * (found[figure] - none) / (some - none), 2)
    print(f"calibration.py: WORKING_LAYERS['cpu'] = {constants['WORKING_LAYERS']}, PASSES = {constants['PASSES']}")
    return constants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["playground"], help="Folders, playground, or names of shapes.")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--calibrate", action="store_true", help="Find the constants on the one shape instead.")
    parser.add_argument("--settings", default="{}", help="Further keys of training, as JSON.")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--work", type=Path, help="Where models and trainings are put; default: a temporary folder.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        what, job = options.worker
        print(json.dumps({"predict": predict, "measure": measure}[what](json.loads(job))))
        return
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        rows: Any = (
            calibrate(work, options)
            if options.calibrate
            else [
                row for model in options.models for way in options.ways if (row := compare(model, way, work, options))
            ]
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
