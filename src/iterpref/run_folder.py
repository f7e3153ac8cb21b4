"""What lies where in a run folder, and under which keys stages leave notes in its store: a public layout.

config.yaml        the run's configuration, resolved
run.sqlite         every record (store/)
pairs/             kept pairs: train.parquet and README.md, the dataset card
model/             the trained model, its checkpoints and training_log.json
results/           ID.json and ID.samples.jsonl of each evaluation
report.html        the report
shards/, batches/, logs/    parts of a spread run, submitted batches, logs of servers that were started
"""

from dataclasses import dataclass
from pathlib import Path

DATABASE = "run.sqlite"

# Names in a folder that training writes to: a run's model/, or one that a caller names.
TRAINING_LOG = "training_log.json"
VALIDATION_STORE = "validation"
# Keys of the store's notes.
FEATURE_TREE_NOTE = "feature_tree"
DEMO_NOTE = "demo"


def import_note(source: str) -> str:
    """The key under which an import of this file or data set leaves its summary."""
    return f"import:{source}"


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    @property
    def pairs(self) -> Path:
        return self.path / "pairs"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def training_log(self) -> Path:
        """TRL's log history."""
        return self.model / TRAINING_LOG

    @property
    def validation(self) -> Path:
        """A store of its own: what was asked and run to choose among checkpoints."""
        return self.model / VALIDATION_STORE

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def shards(self) -> Path:
        return self.path / "shards"

    @property
    def batches(self) -> Path:
        return self.path / "batches"

    @property
    def logs(self) -> Path:
        return self.path / "logs"
