"""A tokenizer for counting where a model has none at hand: the words of the pairs themselves, with offsets.

Words are cut as byte-level tokenizers of code cut them before they merge (GPT-2's pattern), and long ones into pieces.
Which ids they get means nothing, but equal words get equal ones, so that rows share their beginnings as they will.
"""

from collections.abc import Iterator
from typing import Any

_WORD = r" ?\p{L}{1,9}|\p{N}| ?[^\s\p{L}\p{N}]{1,3}[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def word_tokenizer(pairs: Any) -> Any:
    """A tokenizer with ChatML as its template, made for the texts of these pairs."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "isolated")
    special = ["<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    core.train_from_iterator(
        _texts(pairs), trainers.WordLevelTrainer(vocab_size=1 << 30, special_tokens=special, show_progress=False)
    )
    core.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=_CHATML,
    )


def _texts(pairs: Any) -> Iterator[str]:
    for row in pairs:
        prompt = row["prompt"]
        yield from [prompt] if isinstance(prompt, str) else ["user\nassistant\nsystem", *(m["content"] for m in prompt)]
        yield from (row["chosen"], row["rejected"])
