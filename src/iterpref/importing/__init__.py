"""Tasks, recorded debugging runs and preference pairs made elsewhere → records of a run."""

from iterpref.importing.import_source import detect_format, import_source
from iterpref.importing.pairs import PairsSummary, import_pairs
from iterpref.importing.recorded import Disagreement, ImportSummary, import_recorded
from iterpref.importing.tasks import Instruction, TasksSummary, import_own_tasks, import_tasks, read_instructions

__all__ = [
    "Disagreement",
    "ImportSummary",
    "Instruction",
    "PairsSummary",
    "TasksSummary",
    "detect_format",
    "import_own_tasks",
    "import_pairs",
    "import_recorded",
    "import_source",
    "import_tasks",
    "read_instructions",
]
