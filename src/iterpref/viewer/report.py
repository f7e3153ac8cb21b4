"""Run folder → `report.html`: one static page with the run's numbers, each computed here from the store's records.

The page needs no network and no script: style and charts are inside it. It carries no time of its own, so the same run
gives the same page. Texts of models and programs are escaped by the template engine.
"""

import math
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import iterpref
from iterpref.errors import RecordError
from iterpref.files import write_text
from iterpref.run_folder import DEMO_NOTE, RunFolder
from iterpref.store import Store
from iterpref.viewer import debugging_facts, result_facts, settings_facts, training_facts
from iterpref.viewer.charts import MINUS, percent
from iterpref.viewer.examples import examples


def write_report(store: Store) -> Path:
    """Write the page into the run's folder, and return its path. A read-only store is enough.

    Raises:
        RecordError: The page can't be written there.
    """
    path = RunFolder(store.folder).report
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
    folder = RunFolder(store.folder)
    demo = (store.note(DEMO_NOTE) or {}).get("summary") or {}
    return environment().get_template("report.html.jinja").render(
        run=store.folder.resolve().name,
        version=iterpref.__version__,
        playground=debugging_facts.is_playground(store),
        gains=result_facts.gains(store),
        seconds=demo.get("seconds"),
        solving=debugging_facts.solving(store),
        pairs=debugging_facts.pair_counts(store),
        data=debugging_facts.data_facts(store),
        trainings=training_facts.trainings(folder),
        failures=debugging_facts.failures(store),
        results=result_facts.scored(store),
        suite=result_facts.suite(store),
        kinds=result_facts.failure_kinds(store),
        examples=examples(store),
        isolation=result_facts.isolation(store),
        settings=settings_facts.settings_of_stages(store),
        config=folder.config.read_text(encoding="utf-8") if folder.config.is_file() else "",
    )  # fmt: skip


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign unless it rounds to zero."""
    text = f"{difference * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def p_value(p: float | None) -> str:
    """Two significant digits, in powers of ten when small; a dash where there is no test."""
    if p is None:
        return "–"
    if p >= 0.001:
        return f"{p:.2g}"
    if p <= 0:
        return "below 10⁻³⁰⁰"
    exponent = math.floor(math.log10(p))
    power = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{p / 10**exponent:.1f} × 10{power}"


def amount(value: float | None) -> str:
    """A cost in three significant digits, in full from a thousand on; a dash where it isn't known."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """194.2 → `3 min 14 s`."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.1f} s"


@cache
def environment() -> Environment:
    loader = PackageLoader("iterpref.viewer", "templates")
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"percent": percent, "points": points, "p_value": p_value, "duration": duration, "amount": amount}
    return found
