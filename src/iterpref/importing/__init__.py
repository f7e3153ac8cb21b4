"""Tasks, recorded debugging runs and preference pairs made elsewhere → records of a run; and our own export of runs."""

from iterpref.importing.export import export_trajectories
from iterpref.importing.pairs import PairsSummary, import_pairs
from iterpref.importing.recorded import Disagreement, ImportSummary, import_recorded
from iterpref.importing.rows import detect_format
from iterpref.importing.tasks import TasksSummary, import_tasks

__all__ = [
    "Disagreement",
    "ImportSummary",
    "PairsSummary",
    "TasksSummary",
    "detect_format",
    "export_trajectories",
    "import_pairs",
    "import_recorded",
    "import_tasks",
]
