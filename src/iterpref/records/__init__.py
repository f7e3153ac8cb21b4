"""The nouns: what every stage reads and writes. Frozen, typed, JSON round trip; field names are the public schema.

    Task → Trajectory (of Attempts, each with an Execution) → PreferencePair → Result

Imports nothing of ours. `Record.model_dump_json()` writes a record and `Record.model_validate_json()` reads it back;
an unknown field is an error, so a file of a newer schema is never half read.
"""

from .base import Message, Prompt, Record, Text, as_messages, fingerprint, program_hash, stays_inside, well_formed
from .diagnosis import DIAGNOSED, Continued, PairDiagnosis, Place
from .execution import Execution, FailingCase, Isolation, Phase, TestOutcome, Trust, Verdict
from .mark import ReviewMark, Word
from .pair import FilterVerdict, ImportedPair, PreferencePair, Span, content_hash, merged
from .result import Repair, Result, Sample
from .task import Count, DraftedProgram, Limits, Seconds, Style, Task, TestFile, TestQuality
from .trajectory import Attempt, ExportedTrajectory, Origin, Trajectory

__all__ = [
    "DIAGNOSED", "Attempt", "Continued", "Count", "DraftedProgram", "Execution", "ExportedTrajectory", "FailingCase",
    "FilterVerdict", "ImportedPair", "Isolation", "Limits", "Message", "Origin", "PairDiagnosis", "Phase", "Place",
    "PreferencePair", "Prompt", "Record", "Repair", "Result", "ReviewMark", "Sample", "Seconds", "Span", "Style",
    "Task", "TestFile", "TestOutcome", "TestQuality", "Text", "Trajectory", "Trust", "Verdict", "Word", "as_messages",
    "content_hash", "fingerprint", "merged", "program_hash", "stays_inside", "well_formed",
]  # fmt: skip
