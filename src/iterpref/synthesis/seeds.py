"""Settings → what a model is asked: ideas for drafts, and the questions that grow a feature tree. Asks nothing itself.

All draws follow from the run's seed, so the same settings give the same questions.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from iterpref.config import SynthesisConfig
from iterpref.errors import RecordError
from iterpref.prompts.own import Prompts
from iterpref.records import fingerprint
from iterpref.synthesis.draft import FORMS, Idea, shown
from iterpref.synthesis.features import Feature

EVOLVED_SHAPE = (2, 1, 2, 1)  # of the part that is shown for evolution (EpiCoder)
SNIPPET_CHARS = 6000


def check_prompts(settings: SynthesisConfig, prompts: Prompts) -> None:
    """ConfigError where the user's template for drafts leaves out what these settings draw tasks from."""
    if settings.instructions:
        return
    seed, key = ("code", "synthesis.inspire is on") if settings.inspire else ("features", "tasks come from features")
    prompts.need("draft_task", seed, key)


def own(settings: SynthesisConfig, instructions: Iterable[tuple[str, str]]) -> Iterator[Idea]:
    """An idea for each of the user's own instructions, (text, licence), up to the number of tasks."""
    for text, license in islice(instructions, settings.tasks):
        yield Idea("own", instruction=text, license=license, tests=settings.tests, packages=settings.packages)


def sampled(settings: SynthesisConfig, seed: int, tree: Feature) -> Iterator[Idea]:
    """An idea for each task, from a part of the tree."""
    for number in range(settings.tasks):
        draw = random.Random(fingerprint([seed, "sample", number]))
        part = tree.sample(draw, settings.shape, settings.temperature, settings.mandatory)
        leaves = [path[-1] for path in part.paths()]
        musts = draw.sample(leaves, min(settings.mandatory_leaves, len(leaves)))
        features = {"features": shown(part.nested()), "mandatory": " and ".join(musts)}
        yield Idea(draw.choice(FORMS), tests=settings.tests, packages=settings.packages, **features)


def inspired(settings: SynthesisConfig, seed: int) -> Iterator[Idea]:
    """An idea for each task, from code.

    Raises:
        RecordError: See `snippets`.
    """
    texts = snippets(settings)
    for number in range(settings.tasks):
        draw = random.Random(fingerprint([seed, "inspire", number]))
        yield Idea(
            draw.choice(FORMS), code=texts[number % len(texts)], tests=settings.tests, packages=settings.packages
        )


def extractions(settings: SynthesisConfig, tree: Feature, prompts: Prompts) -> list[str]:
    """The questions for the features of the user's code; RecordError: see `snippets`."""
    names = list(tree.children)
    return [prompts.render("extract_features", code=code, categories=names) for code in snippets(settings)]


def evolutions(settings: SynthesisConfig, seed: int, tree: Feature, round_number: int, prompts: Prompts) -> list[str]:
    """The questions that widen and deepen random parts of the tree."""
    draw = random.Random(fingerprint([seed, "evolve", round_number]))
    parts = [tree.sample(draw, EVOLVED_SHAPE, settings.temperature) for _ in range(settings.evolve_parts)]
    return [prompts.render("evolve_features", tree=shown(part.nested())) for part in parts]


def snippets(settings: SynthesisConfig) -> list[str]:
    """The user's code; RecordError if `synthesis.snippets` names no folder with Python files."""
    folder = Path(settings.snippets or "")
    found = sorted(folder.rglob("*.py")) if settings.snippets and folder.is_dir() else []
    texts = [path.read_text(encoding="utf-8", errors="replace")[:SNIPPET_CHARS] for path in found]
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise RecordError(f"synthesis.snippets: {settings.snippets}: expected a folder with .py files, found none")
    return texts
