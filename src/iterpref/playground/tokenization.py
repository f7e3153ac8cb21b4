"""Train the tiny coder's tokenizer: byte-level BPE on whole files.

Nothing splits the text before the merges but digits, so tokens cross line ends and words, as they do in the
tokenizers of large code models; any other text still encodes, byte by byte.
"""

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

USER, ASSISTANT, END, PAD = "<user>", "<assistant>", "<end>", "<pad>"
MAX_TOKEN_CHARS = 32  # phrases that occur everywhere become one token, but not whole programs
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<assistant>' if message['role'] == 'assistant' else '<user>' }}{{ message['content'] }}"
    "{%- if message['role'] == 'assistant' -%}{{ '<end>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<assistant>' }}{%- endif -%}"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int, positions: int) -> Any:
    """A fast tokenizer with the chat template; `texts` are contents of messages, without special tokens."""
    tokenizer = Tokenizer(models.BPE())
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, USER, ASSISTANT, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_CHARS,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=positions,
    )
