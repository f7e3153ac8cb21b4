"""KTO (arXiv:2402.01306) on programs that are right or wrong, without pairs: what PLUM (arXiv:2406.06887) trains with.

The rows are the two sides of the arm's pairs, each distinct program once. Right and wrong ones weigh the same in sum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from iterpref.errors import ConfigError
from iterpref.training import read_pairs

from .grid import Arm
from .pairs import PAIRS
from .records import Record
from .training import Trained, Training, curve

OWN_KEYS = ("beta", "loss_type")


def train_kto(training: Training) -> Trained:
    """The base after KTO on the arm's programs.

    Raises:
        RecordError: There is no pair to learn from.
        TrainingError: Parameters are no longer finite.
    """
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    from .trainers.trl_training import load, quiet, train_and_save

    rows = labelled(read_pairs(training.data.pairs(training.arm)))
    known = {field.name for field in fields(KTOConfig)}
    right = sum(row["label"] for row in rows)
    own = {
        "output_dir": str(training.folder / "checkpoints"),
        "learning_rate": training.rate,
        "num_train_epochs": training.length,
        "seed": training.data.plan.seed,
        "precompute_ref_log_probs": False,
        "desirable_weight": max(1.0, (len(rows) - right) / right),
        "undesirable_weight": max(1.0, right / (len(rows) - right)),
        "disable_tqdm": True,
    }
    settings = {k: v for k, v in training.settings.items() if k in known and k != "train_sampling_strategy"}
    with quiet(bars=False):
        network, tokenizer = load(training.base)
        trainer = KTOTrainer(
            network,
            args=KTOConfig(**{**settings, **own}),
            train_dataset=Dataset.from_list(rows).shuffle(seed=training.data.plan.seed),
            processing_class=tokenizer,
        )
        steps = train_and_save(trainer, training.folder)
    facts = {"pairs": len(rows), "steps": steps, "curve": curve(trainer.state.log_history)}
    return Trained(training.folder / "model", facts)


def labelled(pairs: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Each distinct program of the pairs once, as a row of TRL's unpaired preference format."""
    found: dict[tuple[str, str, bool], Record] = {}
    for pair in pairs:
        prompt = [dict(message) for message in pair["prompt"]]
        for side, label in (("chosen", True), ("rejected", False)):
            completion = [{"role": "assistant", "content": pair[side]}]
            found[str(prompt), pair[side], label] = {"prompt": prompt, "completion": completion, "label": label}
    return list(found.values())


def check_kto(arm: Arm, settings: Mapping[str, Any]) -> None:
    """It takes the grid's settings as far as TRL's KTO knows them, and of its own these."""
    strange = [key for key in arm.training if key not in OWN_KEYS]
    if strange:
        raise ConfigError(f"training.{strange[0]}: trainer kto knows {', '.join(OWN_KEYS)}; leave it out")
    if arm.options:
        raise ConfigError(f"options: trainer kto has none, got {', '.join(arm.options)}")
    if PAIRS[arm.pairs].one_sided:
        raise ConfigError(f"pairs: {arm.pairs} holds no wrong programs, and kto learns from both kinds")
