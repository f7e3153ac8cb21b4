"""The laboratory's second domain: tasks whose programs have a class, helper functions and a loop over records.

`objects_tasks` gives tasks, `OBJECTS` is what the playground's machinery (puzzles, drafts, corpus, pretraining) takes.
"""

from benchmarks.lab.objects.domain import OBJECTS, objects_tasks

__all__ = ["OBJECTS", "objects_tasks"]
