"""Pairs + a model's config → what training on them would take: tokens, memory, time. No weights, no step, no file.

Pairs are prepared by the training's own code, so what is dropped here is dropped there. The model is its config.json,
and its tokenizer where one is at hand.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from iterpref.errors import ClientError, ConfigError
from iterpref.model_source import Plan, check_vocabulary, described_source, plan_of
from iterpref.records import Record
from iterpref.training.base_models import base_model, said_of_base
from iterpref.training.config import FocalDPOConfig
from iterpref.training.contexts import quiet
from iterpref.training.dry_run.loads import Load, batch_loads, course, epoch_batches
from iterpref.training.dry_run.memory import PeakMemory, memory_of, resident_bytes
from iterpref.training.dry_run.regime import Device, counted, keeping_of, resolved, trunk_off
from iterpref.training.dry_run.sharing import Sharing
from iterpref.training.dry_run.speed import Speed, measured_speed
from iterpref.training.dry_run.words import word_tokenizer
from iterpref.training.dry_run.work import Work, optimizer_work, reference_work, training_work
from iterpref.training.encoding import check_template
from iterpref.training.methods import METHODS
from iterpref.training.model import load_tokenizer
from iterpref.training.pairs import TokenizedPairs, tokenize_pairs
from iterpref.training.reading import read_pairs
from iterpref.training.settings import TrainingSection, parse_training

_ESTIMATED = (
    "the model's folder has no tokenizer: tokens are estimated by words, 3 to 8 % more than Qwen2.5-Coder's tokenizer "
    "gives on this package's example pairs, and messages are written as ChatML"
)


class DryRun(Record):
    """What a training would take.

    Tokens and seconds are means per optimizer step, all processes together; `memory` is one device's, with the batch
    that needs most. `flops_per_step` are of all devices, `flops_per_s` what one reaches; `training` are the settings as
    they are used, the defaults that decide most included. `notes` say what is uncertain.
    """

    model: str
    parameters: int
    trained_parameters: int
    method: str
    pairs: int
    trained_pairs: int
    dropped: dict[str, int]
    truncated: int
    steps: int
    epochs: float
    pairs_per_step: float
    tokens_per_step: float
    tokens_per_step_without_trunk: float
    trunk: str
    devices: str
    memory: PeakMemory
    flops_per_step: float
    flops_per_s: float
    flops_from: str
    step_s: float
    reference_hours: float
    hours: float
    training: dict[str, Any]
    notes: tuple[str, ...]


def dry_run(
    pairs_path: str | Path,
    model: str,
    config: Mapping[str, Any],
    *,
    device: Device | None = None,
    flops: float | None = None,
    sharing: Sharing | None = None,
) -> DryRun:
    """Say what `iterpref.training.train` would take with the same arguments.

    Args:
        device: What it would run on; default: what is here.
        flops: Operations a second that one device reaches; default: measured here, if that is the device.
        sharing: How processes share the model (sharing.py); default: one process.

    Raises:
        ClientError: The model's config can't be read, or no network can be made from it.
        ConfigError, RecordError, SpanError, TrainingError: As in `train`.
    """
    device = device or _here()
    if flops is None and device != _here():
        raise ConfigError(
            f"a dry run for {device} on a machine without it can't measure its speed; say it: --flops NUMBER, what one "
            "device reaches in training, as 4e14 for 40 % of an H100's 989e12 in bf16"
        )
    section = parse_training(_for(device, config), Path("dry-run"))
    source = described_source(model)
    plan = plan_of(source, section.args.trust_remote_code)
    if plan is None:
        raise ClientError(f"model {model}: its config.json can't be read by transformers, and a dry run goes by that")
    pairs = read_pairs(pairs_path)
    tokenizer, notes = _tokenizer(source, pairs, section.args)
    why = None if notes else base_model(tokenizer, plan.ends, source, section.args.chat_template)
    if warning := said_of_base(source, section.args.method, why):
        notes.append(warning)
    if not isinstance(pairs[0]["prompt"], str):
        check_template(tokenizer)
    check_vocabulary(tokenizer, None if _ESTIMATED in notes else plan.vocabulary, model)
    with quiet(bars=False):
        tokenized = tokenize_pairs(pairs, tokenizer, section.args)
    planned = _Planned(plan, section, tokenized, device, sharing or Sharing(), model, config)
    return planned.result(len(pairs), flops, tuple(notes))


def _here() -> Device:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _for(device: Device, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they would be read on the device: TRL trains in bf16 where that can be had."""
    said = "bf16" in config or config.get("fp16")
    return {**config} if said else {**config, "bf16": device == "cuda"}


def _tokenizer(source: str, pairs: Any, args: FocalDPOConfig) -> tuple[Any, list[str]]:
    """The model's tokenizer, or where its folder has none one that estimates; then with a note."""
    folder = Path(source)
    if folder.is_dir() and not any(folder.glob("tokenizer*")) and not (folder / "vocab.json").is_file():
        return word_tokenizer(pairs), [_ESTIMATED]
    return load_tokenizer(source, args), []


class _Planned:
    """A training with all that is known of it before it begins."""

    def __init__(
        self,
        plan: Plan,
        section: TrainingSection,
        pairs: TokenizedPairs,
        device: Device,
        sharing: Sharing,
        model: str,
        given: Mapping[str, Any],
    ) -> None:
        self._args, self._pairs, self._sharing, self._model, self._device = section.args, pairs, sharing, model, device
        self._given = given
        self._trunk_off = trunk_off(plan, section.args)
        self._network = counted(plan, section, sharing, model)
        batches = epoch_batches(pairs.dataset, self._args)
        self._course = course(len(batches), self._args, sharing.processes)
        self._pairs_of_batch = _mean([len(members) for members in batches])
        compact = device == "cuda"
        self._loads = list(batch_loads(pairs.dataset, batches, self._args, trunk=self._trunk, compact=compact))
        self._keeping = keeping_of(section, device, sharing, self._trunk)
        # With what the libraries load when they are first used, of which preparing the pairs was the most.
        self._libraries = resident_bytes() if device == "cpu" else 0

    @property
    def _trunk(self) -> bool:
        return not self._trunk_off

    @property
    def _in_steps(self) -> bool:
        """Whether the reference is run in each step."""
        return METHODS[self._args.method].reference and not self._args.precompute_ref_log_probs

    def result(self, read: int, flops: float | None, notes: tuple[str, ...]) -> DryRun:
        args, network, loads = self._args, self._network, self._loads
        steps, batches = self._course.steps, self._course.batches / self._course.steps
        work = self._batch_work() * batches + optimizer_work(network)
        rate, flops_from = self._rate(flops)
        step_s = work.seconds(rate) / self._sharing.processes
        reference_s = self._reference_pass().seconds(rate) / self._sharing.processes
        tokens, unshared = (_mean([getattr(load, name) for load in loads]) for name in ("tokens", "unshared"))
        return DryRun(
            model=self._model,
            parameters=network.parameters,
            trained_parameters=network.trained,
            method=args.method,
            pairs=read,
            trained_pairs=len(self._pairs.dataset),
            dropped=self._pairs.dropped,
            truncated=self._pairs.truncated,
            steps=steps,
            epochs=round(self._course.epochs, 3),
            pairs_per_step=round(batches * self._pairs_of_batch, 2),
            tokens_per_step=round(tokens * batches, 1),
            tokens_per_step_without_trunk=round(unshared * batches, 1),
            trunk=f"off: {self._trunk_off}" if self._trunk_off else f"{unshared / tokens:.2f} times fewer tokens",
            devices=f"{self._sharing.processes} x {self._device} ({self._sharing.in_words})",
            memory=max((self._memory(load) for load in loads), key=lambda memory: memory.peak_bytes),
            flops_per_step=work.flops,
            flops_per_s=rate if isinstance(rate, float) else work.flops / work.seconds(rate),
            flops_from=flops_from,
            step_s=step_s,
            reference_hours=reference_s / 3600,
            hours=(steps * step_s + reference_s) / 3600,
            training=resolved(args, steps, self._given),
            notes=(*notes, *self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        if self._device == "cuda":
            yield "figures for GPUs follow from formulas that were checked on CPUs; leave a tenth of the memory free"
        if self._sharing.processes > 1:
            yield "the time leaves out what processes exchange"
        if repeated := -len(self._loads) % self._sharing.processes * (not self._args.dataloader_drop_last):
            yield (
                f"an epoch has {len(self._loads)} batches for {self._sharing.processes} processes; in its last round "
                f"{repeated} of them repeat one"
            )

    def _memory(self, load: Load) -> PeakMemory:
        return memory_of(self._network, self._keeping, load, self._libraries)

    def _batch_work(self) -> Work:
        """The mean over the epoch's batches."""
        checkpointing = bool(self._args.gradient_checkpointing)
        total = Work()
        for load in self._loads:
            total += training_work(self._network, load, checkpointing=checkpointing, trunk=self._trunk)
            if self._in_steps:
                total += reference_work(self._network, load, trunk=self._trunk)
        return total * (1 / len(self._loads))

    def _reference_pass(self) -> Work:
        """Of references that are computed beforehand: one pass over all pairs."""
        if self._in_steps or not METHODS[self._args.method].reference:
            return Work()
        return sum((reference_work(self._network, load, trunk=self._trunk) for load in self._loads), Work())

    def _rate(self, flops: float | None) -> tuple[Speed | float, str]:
        if flops is not None:
            return flops, "given"
        dtype = torch.float32 if self._keeping.compute_bytes == 4 else torch.bfloat16
        tokens, network = round(_mean([load.tokens for load in self._loads])), self._network
        row = round(_mean([load.attended / load.tokens for load in self._loads]) * 2)
        return measured_speed(self._device, dtype, tokens, network.hidden, network.head_size, row), "measured here"


def _mean(values: list[Any]) -> float:
    return sum(values) / len(values)
