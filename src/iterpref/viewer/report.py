"""Run folder → `report.html`: one static page with the run's numbers, each computed here from the store's records.

The page needs no network and no script: style and charts are inside it. It carries no time of its own, so the same run
gives the same page. Texts of models and programs are escaped and bounded, each and all together, whatever the run's
size; the page says what it left out.
"""

import shlex
from pathlib import Path
from typing import Any

from iterpref.doing import doing
from iterpref.errors import RecordError
from iterpref.files import write_text
from iterpref.records import Result
from iterpref.run_folder import DEMO_NOTE, RunFolder
from iterpref.store import Store

from . import result_facts, run_facts, training_facts
from .data_facts import DataFacts, data_facts
from .debugging_facts import DebuggingFacts, debugging_facts, is_playground
from .examples import examples
from .names import model_labels
from .pair_facts import PairFacts
from .rendering import static_page
from .texts import TextRoom

_TEXT, _LINES, _PAGE = 4_000, 120, 1_000_000  # characters and lines of one text, bytes of all on the page


def write_report(store: Store) -> Path:
    """Write the page into the run's folder, and return its path. A read-only store is enough.

    Raises:
        RecordError: The page can't be written there.
    """
    path = RunFolder(store.folder).report
    with doing("making the report"):
        page = render_report(store)
    try:
        write_text(path, page, errors="backslashreplace")
    except OSError as error:
        raise RecordError(
            f"{path}: can't write the report there ({error.strerror}); the run itself can be read, so copy it to a "
            "place that you can write to"
        ) from None
    return path


def render_report(store: Store) -> str:
    """The page as text. Sections without data say in a sentence what is missing."""
    pairs, results = PairFacts.of(store), list(store.results())
    facts, data = debugging_facts(store, pairs), data_facts(store, pairs)
    for result in results:
        for sample in result.samples:
            facts.isolation.add(sample.execution)
    labels = model_labels(_models(facts, data, results))
    return static_page(
        "report.html.jinja",
        TextRoom(_TEXT, _LINES, _PAGE),
        facts=facts,
        data=data,
        labels=labels,
        gains=result_facts.with_programs(result_facts.gains(results), labels),
        results=result_facts.scored(results),
        suite=result_facts.suite(results),
        kinds=result_facts.failure_kinds(results),
        examples=examples(store, pairs),
        **_of_folder(store),
    )


def _models(facts: DebuggingFacts, data: DataFacts, results: list[Result]) -> list[str]:
    """Every model that the page names."""
    diagnosing = {found.model for found in data.diagnoses}
    return [*(result.model for result in results), *sorted((facts.clients | diagnosing) - {""})]


def _of_folder(store: Store) -> dict[str, Any]:
    folder = RunFolder(store.folder)
    demo = (store.note(DEMO_NOTE) or {}).get("summary") or {}
    return {
        "run": store.folder.resolve().name,
        "run_path": shlex.quote(str(store.folder)),
        "playground": is_playground(store),
        "seconds": demo.get("seconds"),
        "trainings": training_facts.trainings(folder),
        "sources": run_facts.sources(store),
        "settings": run_facts.settings_of_stages(store),
        "config": folder.config.read_text(encoding="utf-8") if folder.config.is_file() else "",
    }
