"""A model that is to answer in this process, checked before its weights are loaded: once, not once a call."""

from iterpref.clients.local import LocalConfig, loaded_dtype
from iterpref.model_source import (
    Need,
    check_chat,
    check_memory,
    check_vocabulary,
    give_template,
    loading,
    model_source,
    plan_of,
)
from iterpref.packages import FOR_MODELS, need_packages
from iterpref.playground.coder import resolve_model

_ADVICE = (
    "take a smaller model, or one that is stored quantized; or serve it (llama.cpp's server, vLLM, on this machine or "
    "another) and set client.kind=openai"
)


def check_local(settings: LocalConfig, raw: bool) -> None:
    """Refuse a model that could answer nothing.

    Args:
        settings: Which model, and where it runs.
        raw: Every request goes to it as bare text, without a chat template.

    Raises:
        ClientError: It isn't there, its tokenizer has no chat template or more tokens than the model, or it doesn't fit
            into memory.
    """
    model = resolve_model(settings.model)
    source = model_source(model)
    need_packages("a model in this process", *FOR_MODELS)
    from transformers import AutoTokenizer

    with loading(model):
        tokenizer = AutoTokenizer.from_pretrained(source)
    if not raw:
        give_template(tokenizer, settings.chat_template, model)
        check_chat(tokenizer, model)
    plan = plan_of(source)
    if plan is None:
        return
    check_vocabulary(tokenizer, plan.vocabulary, model)
    device = _device(settings)
    wanted = loaded_dtype(settings.dtype, device)
    dtype = plan.dtype or wanted if wanted == "auto" else wanted
    if (size := plan.loaded_bytes(dtype)) is not None:
        check_memory(model, Need(size, size, plan.in_words(dtype)), device, _ADVICE)


def _device(settings: LocalConfig) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if settings.device == "auto" else settings.device
