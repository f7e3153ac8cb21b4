"""Write the groups that benchmarks/training.py trains on: standard-library functions and edited versions of them.

    python benchmarks/training_groups.py            # writes benchmarks/data/training_groups.jsonl

A group is a prompt (what stands before a function in its file, with an instruction), the function, and three versions
of it with 1 to 5 edited lines each. Prompt and function have 300-500 tokens each; the edits lie close together, as a
misunderstanding's do, so that a pair has 1.7-1.9 times and a group 4.2-4.6 times the tokens of its trunk and branches.
The file is committed, for the standard library differs between versions of Python (text: PSF License 2.0).
"""

import ast
import json
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

FILE = Path(__file__).parent / "data" / "training_groups.jsonl"
LIBRARY = Path(sysconfig.get_paths()["stdlib"])
GROUPS, NEGATIVES = 12, 3
VOCABULARY = 8000
BRANCH = range(80, 140)
SWAPS = (
    (" == ", " != "),
    (" < ", " <= "),
    (" + ", " - "),
    (" and ", " or "),
    ("True", "False"),
    ("0", "1"),
    ("None", "()"),
    ("self", "other"),
    ("if ", "if not "),
    ("[", "[1 + "),
    ("(", "(not "),
    ("e", "a"),
)


def train_tokenizer() -> Tokenizer:
    """Byte-level BPE of 8,000 tokens, trained on the top-level modules of the standard library."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train([str(path) for path in sorted(LIBRARY.glob("*.py"))], trainer)
    return tokenizer


def main() -> None:
    tokenizer = train_tokenizer()
    draw = random.Random(0)
    groups: list[dict[str, Any]] = []
    for name, prompt, code in functions(tokenizer):
        rejected = [version for version in (edited(code, tokenizer, draw) for _ in range(NEGATIVES)) if version]
        if len({*rejected, code}) == NEGATIVES + 1:
            groups.append({"name": name, "prompt": prompt, "chosen": code, "rejected": rejected})
    FILE.parent.mkdir(exist_ok=True)
    chosen = draw.sample(groups, GROUPS)
    FILE.write_text("".join(json.dumps(group) + "\n" for group in chosen), encoding="utf-8")
    print(f"{FILE}: {len(chosen)} of {len(groups)} groups")


def functions(tokenizer: Tokenizer) -> Iterator[tuple[str, str, str]]:
    """(name, prompt, code) of the functions that have the right size."""
    for path in sorted(LIBRARY.glob("*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        lines = source.splitlines(keepends=True)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.lineno > 60 and node.end_lineno:
                code = "".join(lines[node.lineno - 1 : node.end_lineno])
                before = "".join(lines[node.lineno - 46 : node.lineno - 1])
                prompt = f"Write the function {node.name} of {path.name}. It follows this:\n```python\n{before}```\n"
                if all(300 <= len(tokenizer.encode(text).ids) <= 500 for text in (prompt, code)):
                    yield f"{path.stem}.{node.name}", prompt, code


def edited(code: str, tokenizer: Tokenizer, draw: random.Random) -> str | None:
    """The function with 1 to 5 lines changed within a stretch of BRANCH tokens; None if 50 tries find none."""
    lines = code.splitlines(keepends=True)
    for _ in range(50):
        wrong = list(lines)
        first = draw.randrange(1, len(lines))
        window = range(first, min(first + 12, len(lines)))
        for at in sorted(draw.sample(window, min(draw.randint(1, 5), len(window)))):
            wrong[at] = damage(lines[at], draw)
        differing = [at for at, (a, b) in enumerate(zip(lines, wrong, strict=True)) if a != b]
        if differing:
            stretch = "".join(wrong[differing[0] : differing[-1] + 1])
            if len(tokenizer.encode(stretch).ids) in BRANCH:
                return "".join(wrong)
    return None


def damage(line: str, draw: random.Random) -> str:
    """One swap of a token or name in the line, if any fits."""
    for old, new in draw.sample(SWAPS, len(SWAPS)):
        if old in line:
            return line.replace(old, new, 1)
    return line


if __name__ == "__main__":
    main()
