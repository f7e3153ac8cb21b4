"""Masks of every kind of tokenizer against an oracle that never asks for offsets: a token's bytes, counted up.

What the tokens spell, joined, is the text; so each token's place in it is known without what the tokenizer reports.
"""

import json
import random
import re

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from iterpref.programs import fenced
from iterpref.records import Span
from iterpref.training.encoding import encode_pair

EOS, BOS = "</s>", "<s>"
_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
# GPT-2's alphabet: printable bytes stand for themselves, the others follow from 256 on.
_BYTES = {chr(byte): byte for byte in _PRINTABLE} | {
    chr(256 + number): byte for number, byte in enumerate(b for b in range(256) if b not in _PRINTABLE)
}
_WORDS = ["def f(xs):", "return x", "é = 'ü'", "x  =  1", "for x in xs:", "", "#  ", "pass", "a\t=\t2", "😀 = 'x'"]


def program(draw: random.Random) -> list[str]:
    """Lines with indentations of all widths, tabs, blank ends, and characters of several bytes."""
    indent = [" " * draw.choice((0, 0, 1, 3, 4, 7, 8, 12)) + draw.choice(("", "", "", "\t")) for _ in range(8)]
    return [draw.choice(indent) + draw.choice(_WORDS) + draw.choice(("", "", "  ")) for _ in range(draw.randint(2, 9))]


CORPUS = ["\n".join(program(random.Random(seed))) + "\n" for seed in range(120)]


def byte_level(post, *, use_regex=False, add_prefix_space=False, runs_of_spaces=()):
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=460, initial_alphabet=alphabet, max_token_length=12, show_progress=False)
    )
    core.add_tokens([AddedToken(run, normalized=False) for run in runs_of_spaces])
    core.add_special_tokens([BOS, EOS])
    core.post_processor = post(core)
    return core


def sentencepiece_like(*, unigram):
    """As Llama 2 (BPE) and T5 (Unigram): a space is a ▁, and unknown characters fall back to bytes."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    if unigram:
        core = Tokenizer(models.Unigram())
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        trainer = trainers.UnigramTrainer(
            vocab_size=160, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
        )
        core.train_from_iterator([re.sub("[éü😀]", "e", text) for text in CORPUS], trainer)
        pieces = [tuple(piece) for piece in json.loads(core.to_str())["model"]["vocab"] if piece[0] != "<unk>"]
        core.model = models.Unigram([("<unk>", 0.0), *[(b, -50.0) for b in fallback], *pieces], 0, byte_fallback=True)
    else:
        core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        names = ["<unk>", *fallback]
        trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=names, max_token_length=10, show_progress=False)
        core.train_from_iterator([re.sub("[éü😀]", "e", text) for text in CORPUS], trainer)
    core.add_special_tokens([BOS, EOS])
    return core


def roberta(core):
    start = (BOS, core.token_to_id(BOS))  # at both ends, for the text brings its own EOS
    return processors.RobertaProcessing(start, start, trim_offsets=True, add_prefix_space=True)


def llama3(core):
    start = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, core.token_to_id(BOS))])
    return processors.Sequence([processors.ByteLevel(trim_offsets=True), start])


def trimming(core):
    return processors.ByteLevel(trim_offsets=True)


def whole_offsets(core):
    return processors.ByteLevel(trim_offsets=False)


TOKENIZERS = {
    "byte-level, offsets as they are": lambda: byte_level(whole_offsets),
    "byte-level, trim_offsets": lambda: byte_level(trimming),
    "GPT-2: split at words, trim_offsets": lambda: byte_level(trimming, use_regex=True),
    "Llama 3: a BOS and trim_offsets": lambda: byte_level(llama3, use_regex=True),
    "RoBERTa: a prefix space and trim_offsets": lambda: byte_level(roberta, use_regex=True, add_prefix_space=True),
    "GPT-NeoX: runs of spaces as added tokens": lambda: byte_level(
        trimming, use_regex=True, runs_of_spaces=[" " * n for n in range(2, 9)] + ["\t\t"]
    ),
    "Llama 2: BPE with byte fallback": lambda: sentencepiece_like(unigram=False),
    "T5: Unigram with byte fallback": lambda: sentencepiece_like(unigram=True),
}


def spelled(token: str, added: set[str]) -> bytes:
    """The bytes of the text that a token stands for."""
    if re.fullmatch("<0x[0-9A-F]{2}>", token):
        return bytes([int(token[3:5], 16)])
    if token in added:
        return b"" if token == BOS else token.encode()
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.replace("▁", " ").encode()


def expected_mask(tokens: list[bytes], text: str, focal: list[Span], fences: list[Span]) -> list[int]:
    """1 for tokens with a byte of a focal span and none of a fence."""

    def marked(spans: list[Span]) -> list[bool]:
        return [
            any(span.start <= at < span.stop for span in spans)
            for at, character in enumerate(text)
            for _ in character.encode()
        ]

    wrong, fence, mask, at = marked(focal), marked(fences), [], 0
    for token in tokens:
        place = slice(at, at + len(token))
        mask.append(int(any(wrong[place]) and not any(fence[place])))
        at += len(token)
    return mask


def with_wrong_lines(draw: random.Random) -> tuple[str, list[Span], list[Span]]:
    """A completion, the spans of some of its lines, and those of its two fences."""
    lines = program(draw)
    completion = fenced("\n".join(lines))
    start, end = completion.index("\n") + 1, completion.rindex("```")
    spans, at = [], start
    for line in lines:
        stop = min(at + len(line) + 1, end)
        if at < stop and draw.random() < 0.4:
            spans.append(Span(start=at, stop=stop))
        at += len(line) + 1
    return completion, spans, [Span(start=0, stop=start - 1), Span(start=end, stop=len(completion))]


def moved(spans: list[Span], by: int) -> list[Span]:
    return [Span(start=span.start + by, stop=span.stop + by) for span in spans]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_defect_13_wrong_lines_are_focal_with_their_indentation(kind):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=TOKENIZERS[kind](), bos_token=BOS, eos_token=EOS)
    added, draw, spaces_alone = set(tokenizer.get_added_vocab()), random.Random(kind), 0
    for _ in range(120):
        prompt = draw.choice(["Write f.\n", "Write f:", "Write f.\n    "])
        rejected, wrong, fences = with_wrong_lines(draw)
        encoded = encode_pair(prompt, fenced("pass"), rejected, wrong, tokenizer)
        mask = [0] * len(encoded.prompt_ids) + encoded.rejected_mask
        tokens = tokenizer.convert_ids_to_tokens([*encoded.prompt_ids, *encoded.rejected_ids])

        text, spelling = prompt + rejected + EOS, [spelled(token, added) for token in tokens]
        if b"".join(spelling) == b" " + text.encode():  # a prefix space, which stands for nothing in the text
            first = next(at for at, token in enumerate(spelling) if token)
            spelling[first] = spelling[first][1:]
        assert b"".join(spelling).decode() == text, "the oracle can't read these tokens"
        expected = expected_mask(spelling, text, moved(wrong, len(prompt)), moved(fences, len(prompt)))
        assert mask == expected, (rejected, [*zip(tokens, mask, expected, strict=True)])
        spaces_alone += sum(m and t.isspace() for t, m in zip(spelling, mask, strict=True))
    assert spaces_alone > 20, "too few tokens of nothing but spaces to show anything"
