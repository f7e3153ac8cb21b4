"""Which pairs share texts with a benchmark? An n-gram rule on prompts and solutions.

In: benchmark files and pairs. Out: the benchmark tasks that a pair is too close to. A prompt is a hit when it shares
one n-gram of words with a benchmark's prompt; a program when it has at least half of the n-grams of a benchmark's
solution, since single n-grams of code are anybody's. N-grams that stand in several benchmark tasks ("write a function
that ...") are phrases and don't count.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.programs import code_of
from iterpref.records import PreferencePair, as_messages
from iterpref.rows import BrokenRow, UnreadableSource, read_rows

N = 8
COMMON = 3  # tasks of one file from which on an n-gram is a phrase
SOLUTION_SHARE = 0.5

_WORD = re.compile(r"[a-z0-9]+")
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+|[^\w\s]")
# What the released files of HumanEval, MBPP, BigCodeBench, LiveCodeBench and ours call them.
_PROMPTS = ("prompt", "text", "question_content", "complete_prompt", "instruct_prompt")
_SOLUTIONS = ("canonical_solution", "code", "reference")

Gram = tuple[str, ...]


class Benchmarks:
    """The n-grams of some benchmarks; raises RecordError for a file that can't be read or holds no prompts."""

    def __init__(self, files: Sequence[str | Path]) -> None:
        self._prompts: dict[Gram, str] = {}
        self._solutions: dict[Gram, set[str]] = defaultdict(set)
        self._sizes: Counter[str] = Counter()
        for file in files:
            self._add(Path(file))

    def hits(self, pair: PreferencePair) -> list[str]:
        """Names of the benchmark tasks that the pair's prompt or its chosen program is too close to."""
        return self.close_to([message.content for message in as_messages(pair.prompt)], code_of(pair.chosen))

    def close_to(self, texts: Iterable[str], program: str) -> list[str]:
        """The same of any texts and a program, such as those of a task that models are tuned on."""
        found = set()
        for text in texts:
            found |= {self._prompts[gram] for gram in word_grams(text) if gram in self._prompts}
        shared: Counter[str] = Counter()
        for gram in token_grams(program):
            shared.update(self._solutions.get(gram, ()))
        found |= {name for name, count in shared.items() if count >= SOLUTION_SHARE * self._sizes[name]}
        return sorted(found)

    def _add(self, file: Path) -> None:
        prompts: dict[Gram, list[str]] = defaultdict(list)
        solutions: dict[Gram, list[str]] = defaultdict(list)
        for name, prompt, solution in _tasks(file):
            for gram in word_grams(prompt):
                prompts[gram].append(name)
            for gram in token_grams(solution):
                solutions[gram].append(name)
        if not prompts:
            raise RecordError(f"{file}: no prompts found (expected one of the keys {', '.join(_PROMPTS)})")
        self._prompts |= {gram: names[0] for gram, names in prompts.items() if len(names) < COMMON}
        for gram, names in solutions.items():
            if len(names) < COMMON:
                self._solutions[gram].update(names)
                self._sizes.update(names)


def word_grams(text: str) -> set[Gram]:
    """N words in a row, without case and punctuation."""
    return _grams(_WORD.findall(text.lower()))


def token_grams(program: str) -> set[Gram]:
    """N tokens of code in a row, comments left out."""
    return _grams(_TOKEN.findall(re.sub(r"#.*", "", program)))


def _grams(words: list[str]) -> set[Gram]:
    return {tuple(words[start : start + N]) for start in range(len(words) - N + 1)}


def _tasks(file: Path) -> Iterator[tuple[str, str, str]]:
    """(name, prompt, solution) of every task of a file; its name is its `task_id` or `question_id`, else its line."""
    try:
        for row in read_rows(file):
            task = row.values
            prompt = " ".join(str(task[key]) for key in _PROMPTS if task.get(key))
            solution = next((str(task[key]) for key in _SOLUTIONS if task.get(key)), "")
            yield str(task.get("task_id", task.get("question_id", row.where))), prompt, solution
    except (UnreadableSource, BrokenRow) as error:
        raise RecordError(f"{file}: not a benchmark in JSONL ({error.reason}); check pairing.benchmarks") from None
