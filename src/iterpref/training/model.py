"""The model that is trained: loading it, whole or quantized, and merging its adapter when it is done.

A finished folder is one that any server loads: config, safetensors, tokenizer with its chat template.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer
from transformers.trainer_utils import align_special_tokens
from trl import get_quantization_config
from trl.trainer.utils import create_model_from_path

from iterpref.errors import ClientError, TrainingError
from iterpref.model_source import give_template, loading
from iterpref.training.config import FocalDPOConfig
from iterpref.training.resuming import ADAPTER_FOLDER
from iterpref.training.settings import AdapterConfig
from iterpref.training.trunk.install import causal_model


def load_model(model: str, args: FocalDPOConfig, adapter: AdapterConfig) -> Any:
    """The network, in float32 unless `model_init_kwargs` names a dtype (TRL's default).

    Raises:
        ClientError: It doesn't load, or is without a head that gives logits.
        TrainingError: Quantization is asked for where it can't be had.
    """
    options = {"device_map": None, "trust_remote_code": args.trust_remote_code, **(args.model_init_kwargs or {})}
    options |= _quantization(args, adapter)
    with loading(model):
        network = create_model_from_path(model, **options)
    check_gives_logits(network, model)
    return network


def load_tokenizer(model: str, args: FocalDPOConfig) -> Any:
    """The tokenizer in a model's folder, with the template of `chat_template` where that is set.

    Raises:
        ClientError: It doesn't load, or can't have that template.
    """
    with loading(model):
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=args.trust_remote_code)
    give_template(tokenizer, args.chat_template, model, replace=True)
    return tokenizer


def check_gives_logits(network: Any, name: str) -> None:
    """Refuse with a ClientError a network without a language-model head: an encoder, or a decoder saved without its."""
    base = causal_model(network)
    if base.get_output_embeddings() is None:
        raise ClientError(
            f"model {name}: {type(base).__name__} returns no logits, for it has no language-model head; expected a "
            f"causal language model, such as {type(base).__name__.removesuffix('Model')}ForCausalLM (architectures in "
            "config.json)"
        )


def _quantization(args: FocalDPOConfig, adapter: AdapterConfig) -> dict[str, Any]:
    bits = "load_in_4bit" if adapter.load_in_4bit else "load_in_8bit" if adapter.load_in_8bit else None
    if bits is None:
        return {}
    cuda = torch.cuda.is_available() and not args.use_cpu
    if not cuda or importlib.util.find_spec("bitsandbytes") is None:
        got = "no CUDA device is used here" if not cuda else "bitsandbytes is not installed"
        raise TrainingError(
            f"training: {bits} needs a CUDA device and bitsandbytes, but {got}; leave {bits} out (use_peft alone "
            "trains an adapter on any device), or run where there is one with pip install bitsandbytes"
        )
    adapter.dtype = str((args.model_init_kwargs or {}).get("dtype") or ("bfloat16" if args.bf16 else "float32"))
    return {"quantization_config": get_quantization_config(adapter)}


def save_merged(model: str, folder: Path, tokenizer: Any, args: FocalDPOConfig) -> None:
    """Merge the adapter in `folder/adapter` into a freshly loaded base model and save that in `folder`.

    The base is loaded as it is on disk, not as it was quantized for training, and on the CPU. One process calls this.
    """
    from peft import PeftModel

    forced = {"device_map": None, "trust_remote_code": args.trust_remote_code}
    base = create_model_from_path(model, **{**(args.model_init_kwargs or {}), **forced})
    align_special_tokens(base, tokenizer)  # as transformers' trainer does with the model in training
    merged = PeftModel.from_pretrained(base, str(folder / ADAPTER_FOLDER)).merge_and_unload(safe_merge=True)
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class ChosenRows:
    """A model for SFT: TRL sends rejected rows too, but they carry no loss, so they are answered with zeros unrun."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, **inputs: Any) -> Any:
        rows = len(inputs["input_ids"]) // 2
        outputs = self._model(**{k: v[:rows] if torch.is_tensor(v) else v for k, v in inputs.items()})
        for name, value in outputs.items():
            if torch.is_tensor(value) and value.ndim > 1:
                outputs[name] = torch.cat([value, torch.zeros_like(value)])
        return outputs
