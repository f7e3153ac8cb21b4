"""Is D⁻ the fault? The model continues the chosen pairs before and after their changed lines (`iterpref diagnose`)."""

import pyarrow.parquet as pq

from iterpref import pipeline
from iterpref.analysis.diagnosis import pair_rows
from iterpref.pairing import PARQUET
from iterpref.records import PreferencePair
from iterpref.run_folder import RunFolder

from .data import training_file
from .lab import Lab
from .pairs import TRAINING
from .records import Record

DRAWS = 2  # from each place: the mean over pairs is what is asked for, and not each pair's verdict
SETTINGS = (f"diagnosis.samples={DRAWS}", "diagnosis.sampling.max_tokens=512")  # as many tokens as in debugging


def diagnosis(lab: Lab) -> Record:
    """Share of continuations that pass, pair by pair and place by place; `goes_on`: lines of the program follow D⁻.

    Where none do, the text up to the end of D⁻ is the wrong program itself, and that none passes says nothing.
    """
    table = pq.read_table(RunFolder(lab.folder(TRAINING)).pairs / PARQUET).drop_columns("content_hash")
    origins = dict(lab.records["pairs"]["chosen"])
    pairs = {row["pair_id"]: PreferencePair(**row) for row in table.to_pylist()}
    with lab.opened("diagnosis", lab.experiment.config("debug", *SETTINGS)) as run:
        pipeline.import_source(run, str(training_file(lab.experiment)), {})
        run.store.replace_pairs(pairs.values())
        done = pipeline.diagnose(run)
    found = [row | {"origin": origins[row["pair"]], "goes_on": goes_on(pairs[row["pair"]])}
             for row in pair_rows(done.found)]  # fmt: skip
    return {"pairs": found, "failed": done.failed}


def goes_on(pair: PreferencePair) -> bool:
    """Whether the rejected program has lines after the last one of D⁻."""
    left = pair.rejected[max(span.stop for span in pair.rejected_spans) :]
    return bool(left.partition("```")[0].strip())
