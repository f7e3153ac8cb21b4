"""Records → numbers: what a report, a dataset card and a comparison state. Nothing is run and no model is asked.

    comparison = compare(before, after)  # two Results on the same tasks
    print(comparison.difference, comparison.low, comparison.high, comparison.mcnemar_p)

`funnel` reads trajectories and pairs, `taxonomy` says how programs fail, `dataset` describes the data, `diagnosis` sums
up continuations of pairs, `compare` sets Results side by side.
"""

from iterpref.analysis.compare import Comparison, Entrant, Matrix, compare, compare_all
from iterpref.analysis.entrants import load_entrant, load_entrants

__all__ = ["Comparison", "Entrant", "Matrix", "compare", "compare_all", "load_entrant", "load_entrants"]
