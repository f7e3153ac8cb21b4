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
    """Share of continuations that pass, pair by pair and place by place, with each pair's origin."""
    table = pq.read_table(RunFolder(lab.folder(TRAINING)).pairs / PARQUET).drop_columns("content_hash")
    origins = dict(lab.records["pairs"]["chosen"])
    with lab.opened("diagnosis", lab.experiment.config("debug", *SETTINGS)) as run:
        pipeline.import_source(run, str(training_file(lab.experiment)), {})
        run.store.replace_pairs(PreferencePair(**row) for row in table.to_pylist())
        done = pipeline.diagnose(run)
    return {"pairs": [row | {"origin": origins[row["pair"]]} for row in pair_rows(done.found)], "failed": done.failed}
