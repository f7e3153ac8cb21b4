"""READ FIRST: what is run on a real model, in which order, on how much, and about how long each step takes.

    debugging → controls of the first repair → pairs → diagnosis of the pairs
                                               pairs → trainings (method × rate) → choice by validation → benchmarks

`FULL` is fixed before the runs (docs/real-models.md). Each step leaves a record in the work folder and is skipped when
it is there; what a step had paid when it was killed lies in its run folder. Not here: how a step is done (steps.py).
"""

from dataclasses import dataclass
from pathlib import Path

from iterpref.config import Config
from iterpref.config.load import load_config

RECIPES = Path(__file__).parents[2] / "recipes" / "qwen2.5-coder-0.5b"
HUB_ID = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
MBPP = "google-research-datasets/mbpp"
METHODS = ("sft", "dpo", "rpo", "target_dpo", "target_rpo")
BENCHMARKS = ("humaneval+", "mbpp+")


@dataclass(frozen=True)
class Scale:
    """How much of everything; None: all there is.

    Args:
        tasks: Of MBPP's training split, the first so many.
        repairs: Of a program, at most; sampling draws one program more.
        pairs: At most, of the model's own.
        least_pairs: Where debugging and sampling give fewer, sampling goes on after draws that passed.
        rates: Learning rates tried per method, ascending.
        validation: Tasks of MBPP's validation split.
        evaluated: Tasks of each benchmark.
    """

    name: str
    tasks: int | None
    repairs: int
    pairs: int
    least_pairs: int
    methods: tuple[str, ...]
    rates: tuple[float, ...]
    validation: int | None
    evaluated: int | None


FULL = Scale("full", None, 5, 150, 150, METHODS, (3e-5, 1e-4, 3e-4), None, None)
QUICK = Scale("quick", 40, 2, 20, 5, ("dpo", "target_rpo"), (1e-4,), 20, 20)


@dataclass(frozen=True)
class Experiment:
    """The choices that all steps share.

    Args:
        model: Folder or hub id of the model that debugs, is trained, and is evaluated.
        repairer: The same of a larger one that repairs its first attempts; None leaves that step out.
        mbpp: A file in MBPP's form, or its hub id.
        settings: Further `section.key=value`, on top of the recipes.
    """

    model: str
    repairer: str | None
    mbpp: str
    work: Path
    scale: Scale
    settings: tuple[str, ...] = ()

    def config(self, recipe: str, *overrides: str) -> Config:
        """A recipe of recipes/qwen2.5-coder-0.5b with this model in it."""
        models = (f"model={self.model}", f"client.model={self.model}", f"pairing.tokenizer={self.model}")
        return load_config(RECIPES / f"{recipe}.yaml", [*models, *overrides, *self.settings])

    def trainings(self) -> list[tuple[str, float]]:
        """Method and rate of each training, in order."""
        return [(method, rate) for method in self.scale.methods for rate in self.scale.rates]


def training_name(method: str, rate: float) -> str:
    return f"{method}-{rate:g}"


@dataclass(frozen=True)
class Tokens:
    """Expected tokens of a step: read, answered, and trained on (a pair's packed row, forward and backward)."""

    prompt: float = 0.0
    answer: float = 0.0
    trained: float = 0.0


@dataclass(frozen=True)
class Rates:
    """Tokens a second on the machine at hand; the defaults are the 0.5B's on two cores, and guesses elsewhere.

    Answers vary most: few rows at once, and long ones alone at the end, came at 20 to 50 a second in a quick run.
    """

    prompt: float = 150.0
    answer: float = 40.0
    trained: float = 40.0

    def hours(self, tokens: Tokens) -> float:
        seconds = tokens.prompt / self.prompt + tokens.answer / self.answer + tokens.trained / self.trained
        return seconds / 3600


# Guesses, for the estimate: tokens of a prompt, a repair's prompt, an answer, an answer to a benchmark, and a pair;
# then the share of tasks that reach iteration 0, 1, ... of debugging, and draw 0, 1, ... of sampling.
PROMPT, REPAIR, ANSWER, BENCHMARK_ANSWER, PAIR = 130, 420, 160, 120, 400
REACHED = (1.0, 0.55, 0.47, 0.43, 0.40, 0.38)
DRAWN = (1.0, 0.55, 0.42, 0.36, 0.32, 0.29)
TASKS, VALIDATION, EVALUATED = 374, 90, 164 + 224
CONTINUATIONS = 7  # of a pair: two from each of three or four places, the rest of an answer each
REPAIRER_COST = 3.0  # an answer of the 1.5B takes about three of the 0.5B


def expected(experiment: Experiment) -> dict[str, Tokens]:
    """Step → its tokens, in the order in which steps are run."""
    scale = experiment.scale
    tasks = min(scale.tasks or TASKS, TASKS)
    failing = tasks * REACHED[1]
    repairs, draws = (tasks * sum(reached[1 : scale.repairs + 1]) for reached in (REACHED, DRAWN))
    control = Tokens(failing * REPAIR, failing * ANSWER)
    steps = {
        "benchmarks": Tokens(),
        "debugging": Tokens(tasks * PROMPT + repairs * REPAIR, (tasks + repairs) * ANSWER),
        "sampling": Tokens(draws * PROMPT, draws * ANSWER),
        "removed": control,
        "shuffled": control,
    }
    if experiment.repairer:
        steps["repairer"] = Tokens(control.prompt * REPAIRER_COST, control.answer * REPAIRER_COST)
    validated = _asked(min(scale.validation or VALIDATION, VALIDATION))
    steps["pairs"] = Tokens()
    begun = scale.pairs * CONTINUATIONS
    steps["diagnosis"] = Tokens(begun * PROMPT, begun * ANSWER / 2)
    for method, rate in experiment.trainings():
        trained = Tokens(validated.prompt, validated.answer, scale.pairs * PAIR)
        steps[f"train-{training_name(method, rate)}"] = trained
    steps["validate-base"] = validated
    evaluated = _asked(min(2 * scale.evaluated, EVALUATED) if scale.evaluated else EVALUATED)
    return steps | {f"evaluate-{name}": evaluated for name in ("base", *scale.methods)}


def _asked(tasks: int) -> Tokens:
    return Tokens(tasks * PROMPT, tasks * BENCHMARK_ANSWER)
