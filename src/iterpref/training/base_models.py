"""Base models: the end of a turn, which their generation doesn't know, and a warning where plain DPO breaks them.

A base model is told by what it lacks: a chat template of its own, or the template's end of a turn among the tokens that
end its texts.
"""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from iterpref.model_source import end_of_turn
from iterpref.run_folder import TRAINING_RUN
from iterpref.training.methods import METHODS

logger = logging.getLogger(__name__)

_BREAKS = (
    "model %s looks like a base model (%s), and method=%s penalises whole programs that are right but for a few lines. "
    "In arXiv:2503.02783 (Table 1) DPO took Qwen2.5-Coder-7B, a base model, from 62.9 to 48.7 on MBPP+ and from 45.8 "
    "to 38.8 on BigCodeBench-Complete; target_rpo on the same pairs gave 69.6 and 53.3. Compare with target_dpo or "
    "target_rpo, or train with method=sft first"
)


def ends_of(network: Any) -> set[int]:
    """The token ids that end what a model generates, as its configs say."""
    named = [getattr(network.config.get_text_config(), "eos_token_id", None)]
    named.append(getattr(getattr(network, "generation_config", None), "eos_token_id", None))
    return {end for name in named if name is not None for end in (name if isinstance(name, list) else [name])}


def align_end(tokenizer: Any, ends: Collection[int], model: str, adapter: bool) -> None:
    """Make the token that ends a turn in training the one that ends a text: of the tokenizer, and so, by transformers'
    trainer, of the saved model's config and generation_config.

    Args:
        ends: What ends the model's texts now.
        adapter: Whether its embedding stays as it is.
    """
    token = end_of_turn(tokenizer)
    if token is None:
        if tokenizer.chat_template:
            logger.warning(
                "model %s: its chat template writes no special token behind a reply, so a model that is trained on "
                "conversations doesn't learn where to stop; end replies with {{ eos_token }}.",
                model,
            )
        return
    number = tokenizer.convert_tokens_to_ids(token)
    if token == tokenizer.eos_token or number in ends:
        return
    logger.info("model %s: a turn ends with %s, which becomes the end of texts instead of %s.", model, token,
                tokenizer.eos_token)  # fmt: skip
    if adapter:
        logger.warning(
            "model %s: a turn ends with %s, which ended no text before, and an adapter doesn't train its embedding, so "
            "that replies may not end (QwenLM/Qwen3 issue 1064 is of such a model). Set training.chat_template="
            "instruction, which ends a turn with %s, or train all weights.",
            *(model, token, tokenizer.eos_token),
        )
    tokenizer.eos_token = token


def base_model(tokenizer: Any, ends: Collection[int], source: str, given: str | None) -> str | None:
    """Why a model looks like a base model; None if it doesn't, or was trained here. To be asked before `align_end`.

    Args:
        ends: See `align_end`.
        given: The chat template that the settings give it.
    """
    if (Path(source) / TRAINING_RUN).is_file():
        return None
    if given or not tokenizer.chat_template:
        return "its chat template is set by training.chat_template" if given else "its tokenizer has no chat template"
    token = end_of_turn(tokenizer)
    if token is not None and token != tokenizer.eos_token and tokenizer.convert_tokens_to_ids(token) not in ends:
        return f"nothing ends its texts where a turn ends, with {token}"
    return None


def said_of_base(model: str, method: str, why: str | None) -> str | None:
    """The warning where `method` is known to break base models; None elsewhere."""
    chosen = METHODS[method]
    if why is None or not chosen.pairwise or "rejected" in chosen.focal_sides:
        return None
    return _BREAKS % (Path(model).name if Path(model).is_dir() else model, why, method)
