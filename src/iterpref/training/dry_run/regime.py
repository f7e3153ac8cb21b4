"""Settings and a model's config → how the training keeps its tensors, and what of its network is counted."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from peft import get_peft_model
from trl import get_peft_config

from iterpref.errors import ClientError, ConfigError
from iterpref.model_source import Plan
from iterpref.training.config import FocalDPOConfig
from iterpref.training.dry_run.counting import Network, count
from iterpref.training.dry_run.memory import Keeping
from iterpref.training.dry_run.sharing import Sharing
from iterpref.training.methods import METHODS
from iterpref.training.settings import AdapterConfig, TrainingSection
from iterpref.training.trunk.choice import OFF, obstacle

# Settings that are said in any case, as they are used.
_SAID = ("method", "beta", "alpha", "learning_rate", "lr_scheduler_type", "optim", "num_train_epochs", "max_steps",
         "per_device_train_batch_size", "gradient_accumulation_steps", "max_length", "bf16", "gradient_checkpointing",
         "precompute_ref_log_probs", "trunk_attention", "seed")  # fmt: skip
Device = Literal["cpu", "cuda"]
_SIZES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def trunk_off(plan: Plan, args: FocalDPOConfig) -> str:
    """Why shared tokens will not be run once, as far as the config tells; "" if nothing does."""
    if args.trunk_attention == OFF:
        return "trunk_attention=off"
    config = plan.config.get_text_config()
    coefficient = getattr(config, "router_aux_loss_coef", 0.0) if args.router_aux_loss_coef is None else 0.0
    aux = hasattr(config, "output_router_logits") and bool(args.router_aux_loss_coef or coefficient)
    dropout, longest = not args.disable_dropout, args.max_length
    return obstacle(plan.network, aux_loss=aux, sequence_parallel=False, dropout=dropout, longest=longest) or ""


def counted(plan: Plan, section: TrainingSection, sharing: Sharing, model: str) -> Network:
    named = str((section.args.model_init_kwargs or {}).get("dtype") or "float32").removeprefix("torch.")
    weights = _SIZES.get(plan.dtype or "bfloat16" if named == "auto" else named, torch.float32)
    mixed = bool(section.args.bf16 or section.args.fp16)
    cast = sharing.engine in ("fsdp", "deepspeed") and mixed  # both run layers whose weights are in 16 bits
    peft = get_peft_config(section.adapter)
    if plan.network is None:
        raise ClientError(
            f"model {model}: transformers can't make its network from config.json alone, so nothing is known"
        )
    network = count(plan.config, torch.bfloat16 if cast else weights, mixed and not cast, partial(_adapted, peft=peft))
    if cast and sharing.engine == "fsdp":  # what is frozen stays as it was loaded; accelerate trains in float32
        trained = 4 * network.trained
        frozen = weights.itemsize * (network.parameters - network.trained)
        network = replace(network, parameter_bytes=trained + frozen, trained_bytes=trained)
    return network


def _adapted(network: Any, peft: Any) -> Any:
    if peft is None:
        return network
    try:
        return get_peft_model(network, deepcopy(peft))  # peft writes into it what it found
    except ValueError as error:
        raise ConfigError(f"training: the adapter doesn't fit the model: {' '.join(str(error).split())}") from None


def keeping_of(section: TrainingSection, device: Device, sharing: Sharing, trunk: bool) -> Keeping:
    args, adapter = section.args, section.adapter
    named = str((args.model_init_kwargs or {}).get("dtype") or "float32")
    sixteen = args.bf16 or args.fp16 or named.endswith("16")
    return Keeping(
        device=device,
        compute_bytes=2 if sixteen else 4,
        bits=_bits(adapter),
        reference=_holds_reference(args, adapter),
        checkpointing=bool(args.gradient_checkpointing),
        accumulates=args.gradient_accumulation_steps > 1,
        optimizer=str(getattr(args.optim, "value", args.optim)),
        trunk=trunk,
        sharing=sharing,
    )


def _bits(adapter: AdapterConfig) -> int | None:
    return 4 if adapter.load_in_4bit else 8 if adapter.load_in_8bit else None


def _holds_reference(args: FocalDPOConfig, adapter: AdapterConfig) -> bool:
    return METHODS[args.method].reference and not adapter.use_peft and not args.precompute_ref_log_probs


def resolved(args: FocalDPOConfig, steps: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given, and those that decide most, as they are used; of a warm-up its steps."""
    values = {name: getattr(args, name, value) for name, value in {**dict.fromkeys(_SAID), **given}.items()}
    plain = {name: getattr(value, "value", value) for name, value in values.items()}
    return plain | {"warmup_steps": args.get_warmup_steps(steps)}
