"""What the tests of a task ask of a program, read from their text; nothing runs here.

Which names they take from it (names.py), whether any program can pass (problems.py), how a task says what its function
is called (naming.py), and what of a model's program they need (trim.py).
"""

from iterpref.task_tests.naming import with_entry_point
from iterpref.task_tests.problems import problem_of
from iterpref.task_tests.trim import trim

__all__ = ["problem_of", "trim", "with_entry_point"]
