"""How many tokens are run: row by row, with the prompt once, in TRL's prefix tries, and as trunk and branches.

    PYTHONPATH=src python benchmarks/tree_rows.py [--source library|recorded] [--batches 8]

TRL 1.16 packs rollouts of its asynchronous GRPO in tries (`TreeRow`), for one kernel of FlashAttention 3; its DPO has
no such packing. The prompt once for all rows of a group is what PrefixGrouper (arXiv:2506.05433) shares. Only tokens
are compared, on the same pairs, k = 1 and k = 3 of a prompt, three pairs a batch (training.py times PrefixGrouper's
steps). A trie forks one token before rows part, and ends with a row's last token; a branch begins where they part, and
ends before the last token with loss. Runs on a CPU in seconds.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from training_pairs import batch, encode_once, row_tokens, token_ratio
from trl.experimental.async_grpo.packing import TreeRow

PAIRS = 3


def trie_tokens(source: str, batches: list[list[tuple[int, int]]]) -> int:
    """Unique tokens, each batch in a trie of its own."""
    total = 0
    for members in batches:
        row = TreeRow()
        for group, at in members:
            pair = encode_once(source, group)[at]
            for side in ("chosen_ids", "rejected_ids"):
                ids = torch.tensor([*pair["prompt_ids"], *pair[side]])
                row.add({"input_ids": ids, "completion_mask": torch.ones_like(ids), "group_id": group})
        total += len(row.tokens)
    return total


def prompt_once_tokens(source: str, batches: list[list[tuple[int, int]]], once: bool) -> int:
    """Each group's prompt once a batch, and both completions of each pair, or each different one once."""
    total = 0
    for members in batches:
        total += sum(len(encode_once(source, group)[0]["prompt_ids"]) for group in {group for group, _ in members})
        pairs = [(group, encode_once(source, group)[at]) for group, at in members]
        texts = [(group, tuple(pair[side])) for group, pair in pairs for side in ("chosen_ids", "rejected_ids")]
        total += sum(len(ids) for _, ids in (dict.fromkeys(texts) if once else texts))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="library")
    parser.add_argument("--batches", type=int, default=8)
    options = parser.parse_args()
    for k in (1, 3):
        batches = [batch(options.source, number, k, PAIRS) for number in range(options.batches)]
        rows = row_tokens(options.source, batches)
        ours, tries = token_ratio(options.source, batches), rows / trie_tokens(options.source, batches)
        every, once = (rows / prompt_once_tokens(options.source, batches, once) for once in (False, True))
        prompts = f"{every:.2f} with the prompt once, {once:.2f} with each completion once, too"
        found = f"{prompts}, {tries:.2f} in tries, {ours:.2f} in trunk and branches"
        print(f"k = {k}: {rows:,} tokens in rows; times fewer: {found}")


if __name__ == "__main__":
    main()
