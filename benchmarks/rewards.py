"""What rewards from the sandbox cost a trainer, and what they teach.

    python -m benchmarks.rewards --json rewards.json                # GRPO on the playground: three minutes on two cores
    python -m benchmarks.rewards --loops-only --json rewards.json   # a batch with endless loops in it: one minute

1. `examples/grpo.py` as it is: reward by step, seconds of a step, and of it in the reward; pass@1 on held-out tasks
   before and after, with the exact McNemar p.
2. A batch of completions that all end, and the same batch where a fifth loops for ever, under several deadlines: the
   batch may take no longer than its deadline.
"""

import argparse
import json
import runpy
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from iterpref import CodeReward, Limits, pipeline
from iterpref.analysis.compare import compare
from iterpref.config.load import load_config
from iterpref.opened_run import OpenedRun
from iterpref.store import Store

EXAMPLE = Path(__file__).parents[1] / "examples" / "grpo.py"
HELD_OUT = {"benchmark": "playground", "split": "held_out", "tasks": 300, "sampling": {"max_tokens": 192}}
ENDS, LOOPS = (f"```python\ndef double(x):\n{body}\n```" for body in ("    return 2 * x", "    while True: pass"))
ROW = {"tests": ["assert double(2) == 4", "assert double(0) == 0"]}
SLACK_S = 1.0  # of a batch beyond its deadline: threads that wait for a CPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops-only", action="store_true")
    parser.add_argument("--completions", type=int, default=128, help="Of the batch with loops.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {"loops": [loops(options.completions, deadline) for deadline in (5.0, 15.0, 60.0)]}
    if not options.loops_only:
        with tempfile.TemporaryDirectory() as folder:
            found["grpo"] = grpo(Path(folder))
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def loops(count: int, deadline_s: float) -> dict[str, float]:
    """One batch without and with a fifth of endless loops, each of which may use 4 s of CPU time."""
    reward = CodeReward(deadline_s=deadline_s, limits=Limits(cpu_s=4.0, wall_s=8.0))
    batches = {"plain": [ENDS] * count, "loops": [LOOPS if i % 5 == 4 else ENDS for i in range(count)]}
    row: dict[str, float] = {"deadline_s": deadline_s, "completions": count}
    reward.score([ENDS], [ROW])  # workers start
    for name, completions in batches.items():
        began = time.monotonic()
        rewards = reward.score(completions, [ROW] * count)
        row |= {f"{name}_s": round(time.monotonic() - began, 2), f"{name}_none": rewards.count(None)}
        row[f"{name}_passed"] = rewards.count(1.0)
    if row["loops_s"] > row["plain_s"] + deadline_s + SLACK_S:
        sys.exit(f"error: the deadline of {deadline_s} s did not hold: {row}")
    return row


def grpo(folder: Path) -> dict[str, Any]:
    """Train as the example does, and evaluate before and after."""
    trained = folder / "trained"
    sys.argv = [str(EXAMPLE), "playground", str(trained)]
    log = runpy.run_path(str(EXAMPLE))["trainer"].state.log_history
    steps = [entry for entry in log if "reward" in entry]
    config = load_config(base={"model": "playground", "evaluation": HELD_OUT})
    with Store.open(folder / "run") as store:
        run = OpenedRun(store, config)
        before, after = pipeline.evaluate(run, config.model), pipeline.evaluate(run, str(trained))
    result = compare(before, after)
    return {
        "reward": [round(float(entry["reward"]), 4) for entry in steps],
        "step_s": round(statistics.median(float(entry["step_time"]) for entry in steps), 2),
        "reward_s": round(statistics.median(float(entry["code_reward/batch_s"]) for entry in steps), 2),
        "runs_per_step": round(statistics.mean(float(entry["code_reward/runs"]) for entry in steps), 1),
        "held_out_before": round(result.first_pass_at_k, 4),
        "held_out_after": round(result.second_pass_at_k, 4),
        "won": len(result.won),
        "lost": len(result.lost),
        "mcnemar_p": result.mcnemar_p,
    }


if __name__ == "__main__":
    main()
