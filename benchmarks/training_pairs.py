"""The pairs that benchmarks/training.py trains on, encoded once, and which of them make a batch.

Sources: `library`, the groups of data/training_groups.jsonl (written by training_groups.py); `recorded`, failed and
passing versions of recorded debugging runs, where a file of them is at hand; a Parquet file of pairs, by its path.
`tiny` is one short pair to warm up on.
"""

import json
import os
import platform
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from training_groups import FILE, train_tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from iterpref.pairing import changed_spans
from iterpref.records import PreferencePair
from iterpref.training import read_pairs
from iterpref.training.encoding import EncodedPair, encode_pair
from iterpref.training.reading import TrainingPair
from iterpref.training.trunk.layout import plan_layout

RECORDED = "trajectories/debug_trajectories_dev.jsonl"
# The recorded pairs of a task that come in one batch at most; longer programs than this are left out.
MAX_VERSIONS, MAX_CHARACTERS = 3, 4000

Pair = PreferencePair | TrainingPair
Groups = list[list[Pair]]

_models: list[str] = []


def use_tokenizer_of(model: str) -> None:
    """Encode with this model's tokenizer from now on; before anything is encoded."""
    _models[:] = [model]


@cache
def tokenizer() -> Any:
    if _models:
        return AutoTokenizer.from_pretrained(_models[0])
    path = Path(tempfile.gettempdir()) / f"iterpref-benchmark-tokenizer-{platform.python_version()}.json"
    if not path.exists():
        train_tokenizer().save(str(path))
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(path)), eos_token="</s>", pad_token="</s>")


@cache
def groups(source: str = "library") -> Groups:
    """One list of pairs per group, with the product's own diff."""
    if source == "tiny":
        return [[_pair("tiny", "Write f.\n", "def f():\n    return 1\n", "def f():\n    return 2\n")]]
    if source == "library":
        return _library()
    return _recorded() if source == "recorded" else _file(source)


def _library() -> Groups:
    made = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        made.append([_pair(group["name"], group["prompt"], group["chosen"], text) for text in group["rejected"]])
    return made


def recorded_file() -> Path | None:
    """The file of recorded runs, in the folder that ITERPREF_SHARED_DATA names; None without one."""
    folder = os.environ.get("ITERPREF_SHARED_DATA")
    path = Path(folder) / RECORDED if folder else None
    return path if path is not None and path.is_file() else None


def _recorded() -> Groups:
    """A group per run: its passing version, and the clean failed versions that were paired with it."""
    path = recorded_file()
    if path is None:
        raise SystemExit(f"no recorded runs: set ITERPREF_SHARED_DATA to the folder that holds {RECORDED}")
    made = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        code = {version["step"]: version["code"] for version in row["versions"]}
        fresh = [pair for pair in row["pairs"] if pair["clean"] and not pair["duplicate"]]
        prompt = f"Complete this:\n```python\n{row['prompt']}```\n"
        pairs = [
            _pair(row["task_id"], prompt, code[pair["passed_step"]], code[pair["failed_step"]])
            for pair in fresh
            if max(len(code[pair["passed_step"]]), len(code[pair["failed_step"]])) <= MAX_CHARACTERS
        ]
        pairs = [pair for pair in pairs if pair.rejected_spans and pair.chosen != pair.rejected]
        if pairs:
            made.append(pairs[:MAX_VERSIONS])
    return made


def _file(path: str) -> Groups:
    """A group per prompt, in the file's order."""
    made: dict[str, list[Pair]] = {}
    for row in read_pairs(path):
        pair = TrainingPair.model_validate(row)
        made.setdefault(repr(pair.prompt), []).append(pair)
    return list(made.values())


def _pair(task_id: str, prompt: str, chosen: str, rejected: str) -> PreferencePair:
    spans = changed_spans(rejected, chosen)
    return PreferencePair(
        pair_id=task_id,
        task_id=task_id,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        chosen_spans=spans.chosen,
        rejected_spans=spans.rejected,
        diff="lcs",
        diff_version=1,
        render_template="",
    )


def batch(source: str, number: int, k: int, pairs: int) -> list[tuple[int, int]]:
    """(group, pair in it) of batch `number`, of `pairs` pairs: k of each group; where groups differ, what there is."""
    made = groups(source)
    if source == "library":
        first = number * (pairs // k)
        return [((first + at // k) % len(made), at % k) for at in range(pairs)]
    every = [(group, at) for group, members in enumerate(made) for at in range(len(members))]
    stride = len(every) // pairs // 8 or 1  # batches from all over the file
    first = number * stride * pairs % (len(every) - pairs)
    return every[first : first + pairs]


def encode(pair: Pair) -> EncodedPair:
    return encode_pair(pair.prompt, pair.chosen, pair.rejected, pair.rejected_spans, tokenizer())


@cache
def encode_once(source: str, group: int) -> list[dict[str, Any]]:
    """The examples of one group as a trainer's dataset holds them: encoded before training, with reference values."""
    names = ("prompt_ids", "chosen_ids", "rejected_ids", "rejected_mask")
    encoded = [{name: getattr(encode(pair), name) for name in names} for pair in groups(source)[group]]
    encoded = [row | {"chosen_mask": [1] * len(row["chosen_ids"])} for row in encoded]
    return [row | {"ref_chosen_logps": -100.0, "ref_rejected_logps": -10.0} for row in encoded]


def token_ratio(source: str, batches: list[list[tuple[int, int]]]) -> float:
    """Tokens of the batches' rows (padding not counted) over the tokens of their trunks and branches."""
    packed = 0
    for members in batches:
        ids, loss = _rows(source, members)
        packed += plan_layout(ids, loss, max(map(len, ids))).tokens
    return row_tokens(source, batches) / packed


def row_tokens(source: str, batches: list[list[tuple[int, int]]]) -> int:
    """Tokens of the batches' rows, padding not counted."""
    return sum(len(ids) for members in batches for ids in _rows(source, members)[0])


def _rows(source: str, members: list[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and loss masks of a batch's rows, the chosen ones first."""
    examples = [(side, encode_once(source, group)[at]) for side in ("chosen", "rejected") for group, at in members]
    ids = [row["prompt_ids"] + row[f"{side}_ids"] for side, row in examples]
    return ids, [[0] * len(row["prompt_ids"]) + row[f"{side}_mask"] for side, row in examples]
