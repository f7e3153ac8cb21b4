"""Tasks, recorded debugging runs and preference pairs made elsewhere → records of a run."""

from iterpref.importing.detect import detect_format
from iterpref.importing.import_source import import_source
from iterpref.importing.own_tasks import Instruction, import_own_tasks, read_instructions
from iterpref.importing.pairs import PairsSummary, import_pairs
from iterpref.importing.recorded import Disagreement, ImportSummary, import_recorded
from iterpref.importing.schema_tasks import TasksSummary, import_tasks

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
