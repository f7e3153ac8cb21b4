"""Three kinds of tokenizer, by what their offsets and spaces do."""

from typing import Any

from iterpref.playground.coder import coder_path

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TEXT = ["def solve(xs):\n    return max(xs)\n", "first = xs[0]", "```python\nif not xs:\n        return 0\n```"] * 5


def playground() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(coder_path()))


def _fast(made: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def byte_level_that_trims() -> Any:
    """As GPT-2 and Llama 3: offsets without the spaces at a token's ends."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|end|>", "<|user|>", "<|assistant|>"]
    made.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    )
    return _fast(made)


def byte_fallback() -> Any:
    """As SentencePiece models: spaces are ▁, and what is unknown falls into bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<|end|>", "<|user|>", "<|assistant|>", *(f"<0x{i:02X}>" for i in range(256))]
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=420, special_tokens=special))
    return _fast(made)


TOKENIZERS = {make.__name__: make for make in (playground, byte_level_that_trims, byte_fallback)}
