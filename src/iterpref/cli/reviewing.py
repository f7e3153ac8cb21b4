"""The command for people who judge pairs away from the viewer: review."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from iterpref.errors import IterPrefError

from .app import AsJson, RunOption, verb
from .opening import must_exist
from .output import finish

if TYPE_CHECKING:
    from iterpref.store import Store


@verb()
def review(
    run: RunOption,
    sample: Annotated[int | None, Option(min=1, help="Write a sheet of so many kept pairs, drawn at random.")] = None,
    seed: Annotated[int, Option(help="Another seed draws other pairs.")] = 0,
    read: Annotated[Path | None, Option(help="Keep what was filled into this table.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write pairs to a sheet for a person, a page to read and a table to fill in; and read the table back.

    Reads the run's kept pairs. Writes review/, and of a table that is read the marks into reviews.jsonl, as iterpref
    view does; says how many were accepted, and how often the judge says the same, with 95 % intervals.
    Example: iterpref review --run runs/a --sample 100
    Example: iterpref review --run runs/a --read runs/a/review/seed-0.csv
    """
    if (sample is None) == (read is None):
        raise IterPrefError("iterpref review: give either --sample 100, to write a sheet, or --read FILE, to read one")
    must_exist(run)
    from iterpref.store import Store

    with Store.open(run, write=False) as store:
        summary = _read(store, read) if read is not None else _written(store, sample or 0, seed)
    finish(summary, as_json)


def _written(store: "Store", sample: int, seed: int) -> dict[str, Any]:
    from iterpref.viewer.review_sheet import write_sheet

    sheet = write_sheet(store, sample, seed)
    return {"pairs": sheet.pairs, "of_kept": sheet.kept, "read": str(sheet.page), "fill_in": str(sheet.table)}


def _read(store: "Store", path: Path) -> dict[str, Any]:
    from iterpref.viewer.review_marks import read_sheet

    found = read_sheet(store, path)
    counts: dict[str, Any] = {"marks": found.marks, "new": found.new, "empty_rows": found.empty}
    said = {name: value for name, value in asdict(found.said).items() if value is not None}
    return counts | said
