"""What lies where in a run folder, and under which keys stages leave notes in its store: a public layout.

config.yaml        the run's own settings: of the command that made the run, and of `iterpref config --run RUN set`
run.sqlite         every record (store/)
pairs/             kept pairs: train.parquet and README.md, the dataset card
model/             the trained model, its checkpoints, training_log.json, training_settings.json
models/NAME/       the same of further trainings, `iterpref train --output NAME`
results/           ID.json and ID.samples.jsonl of each evaluation
report.html        the report
reviews.jsonl      marks that people gave to pairs in `iterpref view`, or in a sheet
review/            sheets of `iterpref review`: pairs to read (HTML) and to mark (CSV)
tree/              the feature tree that tasks were drawn from, with its counts, where one was grown (`synthesis.tree`)
shards/, batches/, logs/    parts of a spread run, submitted batches, logs of servers that were started
"""

from pathlib import Path

DATABASE = "run.sqlite"

# Names in a folder that training writes to: a run's model/, one of models/, or one that a caller names.
TRAINING_RUN = "training_run.json"
TRAINING_LOG = "training_log.json"
TRAINING_SETTINGS = "training_settings.json"
VALIDATION_STORE = "validation"  # what was asked and run to choose among checkpoints
DEFAULT_TRAINING = "model"
# Keys of the store's notes.
FEATURE_TREE_NOTE = "feature_tree"
PAIR_FEATURES_NOTE = "pair_features"
DEMO_NOTE = "demo"
SUITE_NOTE = "suite"


def settings_note(stage: str) -> str:
    """The key under which a stage leaves the settings that it ran with: a list, for it may run with several."""
    return f"settings:{stage}"


def import_note(source: str) -> str:
    """The key under which an import of this file or data set leaves its summary."""
    return f"import:{source}"


def run_of(path: Path) -> Path | None:
    """The run folder that `path` is itself, or one of whose own files it is or would be; None anywhere else."""
    path = path.resolve()
    for folder in (path, *path.parents):
        if (folder / DATABASE).is_file():
            own = {place.name for place in vars(RunFolder(folder)).values()} - {folder.name}
            first = next(iter(path.relative_to(folder).parts), None)
            if first is None or first in own or first.startswith((DATABASE, ".")):
                return folder
    return None


def again_note(step: str) -> str:
    """The key under which a step that asks everything again notes where it began, until it has ended."""
    return f"again:{step}"


def weights_note(client: str) -> str:
    """The key under which a run notes which weights a server said it serves under a client's name."""
    return f"weights:{client}"


class RunFolder:
    """The paths of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.database = path / DATABASE
        self.pairs = path / "pairs"
        self.model = path / "model"
        self.models = path / "models"
        self.results = path / "results"
        self.report = path / "report.html"
        self.reviews = path / "reviews.jsonl"
        self.review = path / "review"
        self.tree = path / "tree"
        self.shards = path / "shards"
        self.batches = path / "batches"
        self.logs = path / "logs"

    def training(self, name: str = DEFAULT_TRAINING) -> Path:
        """Where the training of this name is, or will be: `model/`, or a folder in `models/`."""
        return self.model if name == DEFAULT_TRAINING else self.models / name

    def trainings(self) -> dict[str, Path]:
        """Name → folder of the trainings that are there, begun or finished; that of `model/` first."""
        folders = [self.model, *sorted(self.models.glob("*/"))]
        written = (TRAINING_RUN, TRAINING_LOG)
        return {folder.name: folder for folder in folders if any((folder / name).is_file() for name in written)}
