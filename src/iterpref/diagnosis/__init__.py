"""Does D⁻ hold the fault? A model continues both programs of a pair before and after their changed lines (run.py)."""

from iterpref.diagnosis.diagnose import DiagnosisProgress
from iterpref.diagnosis.run import diagnose_run

__all__ = ["DiagnosisProgress", "diagnose_run"]
