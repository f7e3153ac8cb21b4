"""`FocalDPOTrainer`: TRL's DPOTrainer on datasets with a focal mask. The loss itself is TRL's code, untouched.

TRL's `sigmoid` term on these batches is -logsigmoid(beta * (K⁺ - K⁻')), where K⁺ sums log(policy/reference) over the
chosen completion's tokens and K⁻' over the rejected tokens in D⁻: Target-DPO (arXiv:2503.02783). Its `sft` term is the
mean NLL of the batch's chosen completion tokens.
Where the model allows it, the tokens that rows of a batch share are run once (trunk/); TRL's code sees no difference.
"""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import DataLoader
from transformers.trainer_pt_utils import LengthGroupedSampler

from iterpref.model_source import model_source
from iterpref.playground.coder import resolve_model
from iterpref.training.batching import (
    FocalPreferenceCollator,
    LengthOrder,
    group_batches,
    order_seed,
)
from iterpref.training.before_loading import check_given
from iterpref.training.config import FocalDPOConfig, check_trl
from iterpref.training.divergence import DivergenceGuard
from iterpref.training.methods import METHODS
from iterpref.training.metrics import name_metrics
from iterpref.training.model import check_gives_logits, load_model, load_tokenizer
from iterpref.training.packing_trainer import PackingDPOTrainer
from iterpref.training.pairs import on_disk, tokenize_pairs
from iterpref.training.settings import AdapterConfig
from iterpref.training.sharding import check_reference, shared_by_processes
from iterpref.training.standard import focal_dataset
from iterpref.training.trunk.choice import OFF

_READ = ("chosen_mask", "rejected_mask", "length", "pair_weight")  # columns that our collator and samplers read


class FocalDPOTrainer(PackingDPOTrainer):
    """DPO, RPO or SFT, with a side reduced to the lines that differ where `args.method` says so (methods.py).

    Target-DPO and Target-RPO of arXiv:2503.02783, computed by TRL's own code.

    Args:
        model: A model folder, a hub id, `playground`, or a loaded causal model.
        args: Settings; TRL's and those of the method.
        train_dataset: N pairs as `read_pairs` gives them, or N rows in TRL's preference formats, text or messages, of
            which `focal_dataset` makes such pairs.
        processing_class: The tokenizer; by default the model's own.
        kwargs: DPOTrainer's other arguments (`eval_dataset`, `peft_config`, `callbacks`, ...), but no `data_collator`.

    Raises:
        ClientError: The model or its tokenizer doesn't load.
        RecordError, SpanError: A row is no preference pair, or its spans lie outside its text.
        TrainingError: No pair is left, an argument can't be used, TRL is of another minor version, or, while it trains,
            the loss is no number any more.

    What is trained on: per pair `prompt_ids` (P,), `chosen_ids` (C,), `rejected_ids` (R,) and the masks of the two
    completions, `chosen_mask` (C,) and `rejected_mask` (R,), 1 where a token carries loss. A batch of B pairs is
    `input_ids`, `attention_mask` and `completion_mask`, each (2B, L), the chosen rows first.

    `dropped` and `truncated` tell what became of the training pairs; `trunk_mode` and `trunk_off_reason` how shared
    tokens are run, or why they are not, once the first batch has been seen. Under a focal method the metrics
    rewards/rejected, logps/rejected and logits/rejected carry the suffix `_focal`, for they cover D⁻ only, and
    `_weighted` where a side's tokens have weights; rewards/margins and rewards/accuracies compare all of the chosen
    side with D⁻.
    """

    _tag_names = ["trl", "dpo", "focal"]  # noqa: RUF012 (TRL's attribute)
    args: FocalDPOConfig
    trunk_mode: str | None = None
    trunk_off_reason: str | None = None
    truncated = 0

    def __init__(
        self, model: Any, *, args: FocalDPOConfig, train_dataset: Dataset, processing_class: Any = None, **kwargs: Any
    ) -> None:
        check_trl()
        if isinstance(model, str):
            model = model_source(resolve_model(model), tokenizer=processing_class is None, adapter=False)
        tokenizer = processing_class or load_tokenizer(_name(model), args)
        check_given(model, _name(model), tokenizer, args, kwargs)
        check_reference(args, adapter=kwargs.get("peft_config") is not None or isinstance(model, PeftModel))
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._method = METHODS[args.method]
        if args.trunk_attention == OFF:
            self.trunk_off_reason = "trunk_attention=off"
        self.dropped: dict[str, int] = {}
        network = _checked_model(model, args, quantized=kwargs.get("quantization_config") is not None)
        collator = FocalPreferenceCollator(
            pad_token_id=tokenizer.pad_token_id,
            max_length=args.max_length,
            truncation_mode=args.truncation_mode,
            pad_to_multiple_of=args.pad_to_multiple_of,
            trunk=args.trunk_attention != OFF,
        )
        made_of = {"data_collator": collator, "train_dataset": train_dataset, "processing_class": tokenizer, **kwargs}
        with shared_by_processes():
            super().__init__(network, args=args, **made_of)
        self.add_callback(DivergenceGuard())

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: FocalDPOConfig, dataset_name: str
    ) -> Dataset:
        tokenized = tokenize_pairs(focal_dataset(dataset), processing_class, args)
        if dataset_name == "train":
            self.dropped, self.truncated = tokenized.dropped, tokenized.truncated
        if args.precompute_ref_log_probs and self._method.reference:
            return on_disk(tokenized.dataset, Path(args.reference_cache or Path(args.output_dir) / "reference_cache"))
        return tokenized.dataset

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            super()._set_signature_columns_if_needed()
            self._signature_columns = [*self._signature_columns, *_READ]

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        if not self._method.reference:
            # TRL's beta * (K+ - reference+ - K-) is SimPO's beta * (K+ - K-) - gamma for this one.
            margin = self.args.gamma / self.args.beta if self._method.margin else 0.0
            columns = {"ref_chosen_logps": margin, "ref_rejected_logps": 0.0}
            for column, value in columns.items():
                dataset = dataset.add_column(column, [value] * len(dataset))
            return dataset
        with torch.random.fork_rng(devices=()):  # so that the training is the same where the values are in the cache
            return super()._precompute_ref_logps(dataset, name, batch_size)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        return LengthOrder(sampler, order_seed(self.args)) if isinstance(sampler, LengthGroupedSampler) else sampler

    def get_train_dataloader(self) -> Any:
        if not self.args.groups_pairs:
            return super().get_train_dataloader()
        args = self.args
        dataset = self._remove_unused_columns(self.train_dataset, description="training")
        loader = DataLoader(
            dataset,
            batch_sampler=group_batches(dataset, args, self._train_batch_size, self.train_dataset["kind"]),
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
        )
        return self.accelerator.prepare(loader)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        metrics = self._metrics["train" if self.model.training else "eval"]
        name_metrics(metrics, self.args)
        super().log(logs, start_time)


def _name(model: Any) -> str:
    return model if isinstance(model, str) else str(model.config._name_or_path)


def _checked_model(model: Any, args: FocalDPOConfig, quantized: bool) -> Any:
    """The network; the name of one that is to be quantized is left to TRL."""
    if not isinstance(model, str):
        check_gives_logits(model, _name(model))
        return model
    return model if quantized else load_model(model, args, AdapterConfig())
