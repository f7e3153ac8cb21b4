"""Which of two models is better? python examples/compare_samples.py BENCHMARK BEFORE.jsonl AFTER.jsonl

BENCHMARK is a published one (`humaneval+`, `mbpp+`, ...) or a file of tasks; the others hold completions in EvalPlus's
form, `{"task_id": ..., "solution": ...}` a line. Programs run in the sandbox.
"""

import sys

from iterpref import compare, score_samples

BENCHMARK, BEFORE, AFTER = sys.argv[1:]

before, after = (score_samples(file, BENCHMARK) for file in (BEFORE, AFTER))
for name, result in ((BEFORE, before), (AFTER, after)):
    print(f"{name}: pass@1 {result.metrics['pass@1']:.1%} ± {result.metrics.get('pass@1_stderr', 0):.1%}")
found = compare(before, after)
print(f"difference {found.difference:+.1%}, 95 % interval [{found.low:+.1%}, {found.high:+.1%}]")
if found.mcnemar_p is not None:
    print(f"McNemar's p = {found.mcnemar_p:.3g} (exact; {len(found.won)} tasks won, {len(found.lost)} lost)")
print("won:", *found.won or ["none"])
print("lost:", *found.lost or ["none"])
