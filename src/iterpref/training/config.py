"""`FocalDPOConfig`: TRL's DPOConfig and defaults, plus a method, which decides `loss_type` and `loss_weights`."""

import difflib
import os
from dataclasses import dataclass, field
from typing import Any

import torch
import trl
from transformers.utils import is_torch_bf16_gpu_available
from trl import DPOConfig

from iterpref.errors import ConfigError, TrainingError
from iterpref.training.methods import METHODS, NLL, Focus, changed_lines, changed_lines_of_half
from iterpref.training.numbers import check_numbers

SUPPORTED_TRL = "1.16"
_WITHOUT_A_TOKEN = ("drop", "full", "error")


def setting(default: Any, text: str, *choices: str) -> Any:
    """A field with a help text, as TRL has them."""
    return field(default=default, metadata={"help": text, "choices": list(choices)} if choices else {"help": text})


@dataclass
class FocalDPOConfig(DPOConfig):
    """Settings of a `FocalDPOTrainer` (arXiv:2503.02783); every other field is TRL's.

    `method` is one of

    - `sft`: NLL of the chosen side;
    - `dpo`: the whole chosen against the whole rejected side;
    - `rpo`: dpo + alpha * NLL of the chosen side;
    - `target_dpo`: dpo with the rejected side reduced to D⁻, the lines that the fix replaced;
    - `target_rpo`: target_dpo + alpha * NLL of the chosen side (the default);
    - the paper's ablations of target_rpo: `hybrid` (half of the pairs as in rpo), `diff_augmentation` (1-2 lines around
      D⁻ in it too), `symmetric` (the chosen side reduced to D⁺ too);
    - `simpo`, `focal_simpo` and `lpo`: mean log-probabilities without a reference (docs/training.md, variants).

    Raises:
        ConfigError: `method` or a policy is unknown, an explicit loss contradicts `method`, or a TRL option is set that
            has no meaning with focal masks.
    """

    method: str = setting(
        "target_rpo",
        "Loss: " + "; ".join(f"{name}: {method.help}" for name, method in METHODS.items()) + ".",
        *METHODS,
    )
    alpha: float = setting(1.0, "Weight of the NLL term of rpo and target_rpo (paper: 1.0).")
    empty_removed: str = setting(
        "drop",
        "Where the rejected side is reduced to D-: drop a pair without a token in it (its fix only inserts lines, or "
        "truncation cut D- off), take its full rejected side, or stop with an error.",
        *_WITHOUT_A_TOKEN,
    )
    empty_added: str = setting("drop", "The same for the chosen side and D+.", *_WITHOUT_A_TOKEN)
    focus: str = setting(
        "lines",
        "What of D- and D+ is in focus: whole lines, or within them the tokens that differ.",
        *("lines", "tokens"),
    )
    outside_weight: float | None = setting(
        None,
        "Weight of the tokens outside D- (D+) on a side that the method reduces to it, beside 1 within; default: the "
        "method's, which is 0 but for lpo. With 1, target_dpo is dpo.",
    )
    added_weight: float = setting(
        1.0, "Weight of the chosen tokens in D+, beside 1 outside, where the whole chosen side is learned."
    )
    gamma: float = setting(0.5, "What beta times the difference of the means has to exceed in simpo and lpo.")
    sft_on: str = setting("chosen", "The side that method=sft learns (a control).", "chosen", "rejected")
    iteration_weight: float = setting(
        1.0,
        "A pair whose rejected version came d versions before the passing one weighs this to the power of d - 1 (then "
        "divided by the mean): under 1 the near ones weigh more, over 1 the far ones.",
    )
    curriculum: str = setting(
        "none",
        "Order of an epoch's batches by the kind of failure: the frequent kinds first, or the rare ones.",
        *("none", "frequent_first", "rare_first"),
    )
    curriculum_replay: float = setting(
        0.2, "With a curriculum: per kind, how many batches of earlier kinds come with its own, as a share of these."
    )
    trunk_attention: str = setting(
        "auto",
        "How to run the tokens that the rows of a batch share once: split, sdpa or varlen are ways of attention with "
        "equal results, off runs every row by itself, auto takes the best that works.",
        *("auto", "split", "sdpa", "varlen", "off"),
    )
    group_pairs: bool = setting(
        True,
        "Put all pairs of one prompt into one batch, where they share a trunk. Only with "
        "train_sampling_strategy=random.",
    )
    max_tokens_per_batch: int | None = setting(
        None,
        "Fill a process's batches up to this many tokens (each shared token counted once) instead of "
        "per_device_train_batch_size pairs.",
    )
    reference_cache: str | None = setting(
        None,
        "Folder for precomputed references, which trainings on the same pairs from the same model may share; default: "
        "reference_cache in output_dir.",
    )
    chat_template: str | None = setting(
        None,
        "How conversations are written, for base models: chatml, instruction (headings in plain text), plain (nothing "
        "but the texts), or a Jinja file; in place of the tokenizer's own, if it has one. It is saved with the model.",
    )
    # TRL's default would hide whether the user chose a loss; None means: as `method` says.
    loss_type: list[str] | None = field(
        default=None, metadata={"help": "Filled in from `method`; may be given only if it says the same."}
    )

    def __post_init__(self) -> None:
        for key in FocalDPOConfig.__annotations__:
            _check_choice(key, getattr(self, key), self.__dataclass_fields__[key].metadata.get("choices"))
        check_numbers(vars(self))
        self._fill_losses()
        self._check_weights()
        self._refuse_meaningless()
        self._fit_the_machine()
        if not METHODS[self.method].reference:
            self.precompute_ref_log_probs = True  # the trainer takes "precomputed" zeros, so none is loaded or run
        try:
            super().__post_init__()
        except (ValueError, ImportError) as error:  # a package that a setting needs
            raise ConfigError(f"training: {' '.join(str(error).split())}") from error

    def _fill_losses(self) -> None:
        method = METHODS[self.method]
        expected, weighed = list(method.terms), NLL in method.terms[1:]
        given = [self.loss_type] if isinstance(self.loss_type, str) else self.loss_type
        if given is not None and list(given) != expected:
            raise ConfigError(
                f"training: method={self.method} is loss_type={expected}, but loss_type={given} was given too; leave "
                "loss_type out"
            )
        if self.alpha != 1.0 and not weighed:
            raise ConfigError(
                f"training: alpha={self.alpha} weighs the NLL term of rpo, target_rpo and the ablations; "
                f"method={self.method} has none, leave alpha out"
            )
        if self.alpha < 0:
            raise ConfigError(f"training: alpha={self.alpha} is negative; expected 0 or more")
        weights = [1.0, self.alpha] if weighed else [1.0]
        if self.loss_weights is not None and list(self.loss_weights) != weights:
            raise ConfigError(
                f"training: method={self.method} with alpha={self.alpha} is loss_weights={weights}, but "
                f"loss_weights={self.loss_weights} was given too; set alpha instead"
            )
        self.loss_type, self.loss_weights = expected, weights

    @property
    def sides(self) -> dict[str, Focus]:
        """Side → what its tokens weigh."""
        return METHODS[self.method].focus(self.outside_weight, self.added_weight)

    def _check_weights(self) -> None:
        method = METHODS[self.method]
        refused = {
            "outside_weight": (self.outside_weight is not None and not method.focal_sides, "has no side reduced to D-"),
            "added_weight": (
                self.added_weight != 1.0 and (not method.pairwise or "chosen" in method.focal_sides),
                "does not compare the whole chosen side with another",
            ),
            "gamma": (self.gamma != 0.5 and not method.margin, "has no margin"),
        }
        if self.focus != "lines" and not any(
            side.mask in (changed_lines, changed_lines_of_half) for side in self.sides.values()
        ):
            raise ConfigError(
                f"training: focus={self.focus}, but method={self.method} looks at no changed lines alone; leave it out"
            )
        for key, (is_refused, why) in refused.items():
            if is_refused:
                raise ConfigError(f"training: {key}={getattr(self, key)}, but method={self.method} {why}; leave it out")
        if not (0 <= (self.outside_weight or 0) <= 1 and 0 < self.added_weight < float("inf") and self.gamma >= 0):
            raise ConfigError(
                f"training: got outside_weight={self.outside_weight}, added_weight={self.added_weight}, "
                f"gamma={self.gamma}; expected a weight from 0 to 1, one over 0, and 0 or more"
            )
        if not 0 < self.iteration_weight <= 10:
            raise ConfigError(
                f"training: iteration_weight={self.iteration_weight} can't be used; expected over 0 and at most 10"
            )
        if method.margin and self.beta == 0:
            raise ConfigError(
                f"training: beta=0, but method={self.method} has no loss without it; expected more than 0"
            )

    def _fit_the_machine(self) -> None:
        if not torch.accelerator.is_available() and (self.bf16 or int(os.environ.get("WORLD_SIZE", "1")) > 1):
            # Otherwise transformers refuses bf16; and accelerate forms no group, and every process trains by itself.
            self.use_cpu = True
        if self.bf16 is None and (self.use_cpu or not is_torch_bf16_gpu_available()):
            self.bf16 = False  # TRL's default is True, which stops with an error where no GPU can do it
        if not torch.accelerator.is_available():
            self.dataloader_pin_memory = (
                False  # torch warns of the default in every run where there is nothing to pin for
            )
        if getattr(self, "activation_checkpointing", False) is None:
            # transformers' new name for the same field; TRL's default under the old one would warn in every run
            self.activation_checkpointing = self.gradient_checkpointing

    @property
    def groups_pairs(self) -> bool:
        """Whether this package makes the batches; another order that was asked for is left to transformers."""
        return self.group_pairs and self.train_sampling_strategy == "random"

    def _refuse_meaningless(self) -> None:
        if self.max_tokens_per_batch is not None and not (self.groups_pairs and self.max_tokens_per_batch > 0):
            raise ConfigError(
                f"training: max_tokens_per_batch={self.max_tokens_per_batch} must be positive, and needs "
                "group_pairs=true and train_sampling_strategy=random"
            )
        if self.curriculum != "none" and not (self.groups_pairs and 0 <= self.curriculum_replay <= 1):
            raise ConfigError(
                f"training: curriculum={self.curriculum} orders batches that this package makes; it needs "
                "group_pairs=true, train_sampling_strategy=random, and curriculum_replay from 0 to 1 (got "
                f"{self.curriculum_replay})"
            )
        if self.sft_on != "chosen" and METHODS[self.method].pairwise:
            raise ConfigError(
                f"training: sft_on={self.sft_on} is for method=sft; method={self.method} learns both sides"
            )
        if self.ld_alpha is not None:
            raise ConfigError(
                f"training: ld_alpha={self.ld_alpha} weighs tokens by their place in the whole completion, which has "
                "no meaning for D-; leave it out"
            )
        if self.use_weighting and NLL in METHODS[self.method].terms:
            raise ConfigError(
                f"training: use_weighting can't be combined with the NLL term of method={self.method} (TRL fails on "
                "it); use it with dpo or target_dpo, or leave it out"
            )
        if self.pad_token is not None:
            raise ConfigError("training: pad_token is deprecated in TRL; set it in the model's tokenizer files")


def _check_choice(key: str, value: Any, choices: list[str] | None) -> None:
    if choices is not None and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(choices)}"
        raise ConfigError(f"training: {key}={value!r} is unknown; {advice}")


def check_trl() -> None:
    """Refuse with a TrainingError a TRL of another minor version, whose trainer may read its masks elsewhere."""
    if trl.__version__.rsplit(".dev", 1)[0].split(".")[:2] != SUPPORTED_TRL.split("."):
        raise TrainingError(
            f"TRL {trl.__version__} is installed, but this trainer extends TRL {SUPPORTED_TRL}; run "
            f"pip install 'trl~={SUPPORTED_TRL}.0'"
        )
