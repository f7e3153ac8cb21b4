"""READ FIRST: the whole method, arrow by arrow.

    tasks → trajectories → pairs → checkpoint → results → report

Each step reads and writes records in one run folder, so that each can be run alone, repeated, or continued after a
kill; the CLI's verbs are the methods of `Run` (run.py).
"""

from .debugging import debug_shard, merge_shards
from .opening import OnProgress, quiet
from .run import Export, Run, train_run

__all__ = ["Export", "OnProgress", "Run", "debug_shard", "merge_shards", "quiet", "train_run"]
