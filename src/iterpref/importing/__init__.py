"""Tasks, recorded debugging runs and preference pairs made elsewhere → records of a run."""

from iterpref.importing.formats import detect_format
from iterpref.importing.mapped import Instruction, import_mapped_tasks, read_instructions
from iterpref.importing.pairs import PairsSummary, import_pairs
from iterpref.importing.recorded import Disagreement, ImportSummary, import_recorded
from iterpref.importing.tasks import TasksSummary, import_tasks

__all__ = [
    "Disagreement",
    "ImportSummary",
    "Instruction",
    "PairsSummary",
    "TasksSummary",
    "detect_format",
    "import_mapped_tasks",
    "import_pairs",
    "import_recorded",
    "import_tasks",
    "read_instructions",
]
