"""What a training needs of its model, checked before the weights are loaded: chat template, vocabulary, memory.

Memory is counted from the config: weights, the frozen reference, gradients and the optimizer's states, as the settings
imply. Activations, which depend on the pairs, come on top. Where processes share the weights among them (FSDP,
DeepSpeed) or several devices do (`device_map`), nothing is counted.
"""

import os
from collections.abc import Mapping
from typing import Any

import torch
from peft import get_peft_model
from trl import get_peft_config

from iterpref.model_source import Need, Plan, check_chat, check_memory, check_vocabulary, plan_of
from iterpref.training.config import FocalDPOConfig
from iterpref.training.disk import optimizer_bytes
from iterpref.training.encoding import check_template
from iterpref.training.settings import AdapterConfig, TrainingSection


def check_chats(model: str, tokenizer: Any, pairs: Any, section: TrainingSection) -> None:
    """Refuse a tokenizer without the chat template that the pairs, or the tasks that a checkpoint is chosen by, need.

    Raises:
        TrainingError, ClientError: For the pairs; for those tasks.
    """
    if not isinstance(pairs[0]["prompt"], str):
        check_template(tokenizer)
    if section.selection:
        check_chat(tokenizer, model)


def check_given(model: Any, name: str, tokenizer: Any, args: FocalDPOConfig, options: Mapping[str, Any]) -> None:
    """The same for what a `FocalDPOTrainer` is given: a network, or the name of one, and options of TRL's trainer."""
    if not isinstance(model, str):
        check_vocabulary(tokenizer, getattr(model.get_input_embeddings(), "num_embeddings", None), name)
    elif options.get("quantization_config") is None:
        check_model(name, tokenizer, args, AdapterConfig(use_peft=options.get("peft_config") is not None))


def check_model(model: str, tokenizer: Any, args: FocalDPOConfig, adapter: AdapterConfig) -> None:
    """Refuse a model whose tokenizer has more tokens than it, or which doesn't fit into memory.

    Raises:
        ClientError: Says the two numbers, and what helps.
    """
    plan = plan_of(model, args.trust_remote_code)
    if plan is None:
        return
    check_vocabulary(tokenizer, plan.vocabulary, model)
    need = None if _is_spread(args) else _need(plan, args, adapter)
    if need:
        check_memory(model, need, str(args.device), _advice(need, args, adapter))


def _need(plan: Plan, args: FocalDPOConfig, adapter: AdapterConfig) -> Need | None:
    dtype = str((args.model_init_kwargs or {}).get("dtype") or "float32").removeprefix("torch.")
    bits = 4 if adapter.load_in_4bit else 8 if adapter.load_in_8bit else None
    weights = plan.loaded_bytes(dtype, bits)
    if weights is None:
        return None
    reference = 0 if adapter.use_peft or args.precompute_ref_log_probs else weights
    gradients = _trained_bytes(plan, weights, adapter)
    whole = weights + reference + gradients + optimizer_bytes(args.optim, gradients)
    if adapter.use_peft and adapter.merge_adapter and str(args.device) == "cpu":
        whole = max(whole, 2 * weights)  # it is merged into a second copy
    parts = plan.in_words(dtype, bits) + (" and as much for the frozen reference" if reference else "")
    return Need(weights + reference, whole, parts, ", gradients and the optimizer's states")


def _trained_bytes(plan: Plan, weights: int, adapter: AdapterConfig) -> int:
    """Bytes of the tensors that get gradients; an adapter's are float32."""
    if not adapter.use_peft:
        return weights
    if plan.network is None:
        return 0
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            adapted = get_peft_model(plan.network, get_peft_config(adapter))
        except Exception:  # a target module that isn't there: TRL says it
            return 0
    return 4 * sum(tensor.numel() for tensor in adapted.parameters() if tensor.requires_grad)


def _is_spread(args: FocalDPOConfig) -> bool:
    flags = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    asked = any(os.environ.get(flag, "false").lower() in ("true", "1") for flag in flags)
    return bool(asked or args.fsdp or args.deepspeed or (args.model_init_kwargs or {}).get("device_map"))


def _advice(need: Need, args: FocalDPOConfig, adapter: AdapterConfig) -> str:
    """What would make it smaller, of what isn't set yet."""
    advice = []
    if not adapter.use_peft:
        advice.append("training.use_peft=true (an adapter needs no second copy, and few gradients)")
        if not args.precompute_ref_log_probs:
            advice.append("training.precompute_ref_log_probs=true (no reference in memory)")
    if not (args.model_init_kwargs or {}).get("dtype"):
        advice.append("training.model_init_kwargs.dtype=bfloat16 (half of all)")
    if args.device.type == "cuda" and not (adapter.load_in_4bit or adapter.load_in_8bit):
        advice.append("training.load_in_4bit=true with use_peft")
    return ", ".join([*advice, "or a smaller model"]) if advice else "a smaller model"
