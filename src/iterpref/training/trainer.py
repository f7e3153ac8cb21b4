"""`FocalDPOTrainer`: TRL's DPOTrainer on datasets with a focal mask. The loss itself is TRL's code, untouched.

In: a model, pairs (`dataset.read_pairs`) and a `FocalDPOConfig`. Out: a trained model.
TRL's `sigmoid` term on these batches is -logsigmoid(beta * (K⁺ - K⁻')), where K⁺ sums log(policy/reference) over the
chosen completion's tokens and K⁻' over the rejected tokens in D⁻: Target-DPO (arXiv:2503.02783). Its `sft` term is the
mean NLL of the batch's chosen completion tokens.
Not here: reading pairs, resuming, writing results (train.py).
"""

# mypy: disable-error-code="misc,has-type,no-any-return"
# The base class comes from an untyped library.

import os
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
import trl
from accelerate import PartialState
from datasets import Dataset, load_from_disk
from transformers import AutoTokenizer
from trl import DPOTrainer

from iterpref.errors import TrainingError
from iterpref.training.collator import FocalPreferenceCollator
from iterpref.training.config import FocalDPOConfig
from iterpref.training.dataset import tokenize_pairs

SUPPORTED_TRL = "1.16"
# These metrics of TRL's are sums or means over the rejected row's mask, which holds D⁻ only.
_MASKED_METRICS = ("rewards/rejected", "logps/rejected", "logits/rejected")


def check_trl() -> None:
    """Refuse a TRL whose trainer may read its masks elsewhere.

    Raises:
        TrainingError: Another minor version than the one tested against is installed.
    """
    if trl.__version__.rsplit(".dev", 1)[0].split(".")[:2] != SUPPORTED_TRL.split("."):
        raise TrainingError(
            f"TRL {trl.__version__} is installed, but this trainer extends TRL {SUPPORTED_TRL}; run "
            f"pip install 'trl~={SUPPORTED_TRL}.0'"
        )


class FocalDPOTrainer(DPOTrainer):
    """DPO, RPO or SFT, with the rejected side reduced to D⁻ where `args.method` says so.

    Takes DPOTrainer's arguments, except for `data_collator`. Datasets are pairs as `read_pairs` gives them.
    `dropped` and `truncated` tell what became of the training pairs. Under a focal method the metrics
    rewards/rejected, logps/rejected and logits/rejected carry the suffix `_focal`, for they cover D⁻ only;
    rewards/margins and rewards/accuracies compare all of the chosen side with D⁻.
    """

    _tag_names = ["trl", "dpo", "focal"]  # noqa: RUF012 (TRL's attribute)
    args: FocalDPOConfig

    def __init__(
        self, model: Any, *, args: FocalDPOConfig, train_dataset: Dataset, processing_class: Any = None, **kwargs: Any
    ) -> None:
        check_trl()
        tokenizer = processing_class
        if tokenizer is None:
            name = model if isinstance(model, str) else model.config._name_or_path
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=args.trust_remote_code)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        collator = FocalPreferenceCollator(
            pad_token_id=tokenizer.pad_token_id,
            max_length=args.max_length,
            truncation_mode=args.truncation_mode,
            pad_to_multiple_of=args.pad_to_multiple_of,
        )
        self.dropped: dict[str, int] = {}
        self.truncated = 0
        super().__init__(
            model,
            args=args,
            data_collator=collator,
            train_dataset=train_dataset,
            processing_class=tokenizer,
            **kwargs,
        )

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: FocalDPOConfig, dataset_name: str
    ) -> Dataset:
        tokenized = tokenize_pairs(dataset, processing_class, args)
        if dataset_name == "train":
            self.dropped, self.truncated = tokenized.dropped, tokenized.truncated
        if args.precompute_ref_log_probs and args.method != "sft":
            return _on_disk(tokenized.dataset, Path(args.output_dir) / "reference_cache")
        return tokenized.dataset

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            super()._set_signature_columns_if_needed()
            self._signature_columns = [*self._signature_columns, "rejected_mask", "length"]

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        if self.args.method == "sft":
            zeros = [0.0] * len(dataset)
            return dataset.add_column("ref_chosen_logps", zeros).add_column("ref_rejected_logps", zeros)
        return super()._precompute_ref_logps(dataset, name, batch_size)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        if self.args.method == "sft":
            model = _ChosenRows(model)
        return super()._compute_loss(model, inputs, return_outputs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        metrics = self._metrics["train" if self.model.training else "eval"]
        if self.args.method == "sft":  # no reference and no rejected side: these would be meaningless
            for name in [name for name in metrics if name.startswith("rewards/") or name.endswith("/rejected")]:
                del metrics[name]
        elif self.args.focal:
            for name in _MASKED_METRICS:
                if name in metrics:
                    metrics[f"{name}_focal"] = metrics.pop(name)
        super().log(logs, start_time)


class _ChosenRows:
    """A model that runs the first half of the rows only and answers zeros for the others.

    For SFT: TRL sends chosen and rejected rows, but the latter carry no loss and would double the work.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, **inputs: Any) -> Any:
        rows = len(inputs["input_ids"]) // 2
        outputs = self._model(**{k: v[:rows] if torch.is_tensor(v) else v for k, v in inputs.items()})
        for name, value in outputs.items():
            if torch.is_tensor(value) and value.ndim > 1:
                outputs[name] = torch.cat([value, torch.zeros_like(value)])
        return outputs


def _on_disk(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset backed by a file, next to which TRL keeps its reference values for all processes and later runs."""
    target = folder / dataset._fingerprint
    with PartialState().main_process_first():
        if not target.exists():
            staging = folder / f".{uuid4().hex}"
            dataset.save_to_disk(staging)
            try:
                os.replace(staging, target)
            except OSError:  # another process was faster
                shutil.rmtree(staging)
    return load_from_disk(str(target))
