"""Which loss learns what from the same pairs? Every method, and a control whose sides are swapped.

    iterpref demo --run runs/demo && python -m benchmarks.methods --run runs/demo --json methods.json

Trains the demo's model on its own pairs once per method and evaluates each on its held-out tasks (greedy pass@1),
with the exact McNemar p against the untrained model. `swapped` is target_rpo with chosen and rejected exchanged: what
it gains cannot come from the pairs' direction. One seed and one base; `python -m benchmarks.lab` compares over many.
"""

import argparse
import json
import tempfile
from pathlib import Path

from iterpref import pipeline
from iterpref.analysis.compare import compare
from iterpref.config.load import load_config
from iterpref.opened_run import OpenedRun
from iterpref.pairing import write_dataset
from iterpref.records import PreferencePair
from iterpref.run_folder import RunFolder
from iterpref.store import Store

from .lab.pairs import swapped

METHODS = ("sft", "dpo", "rpo", "target_dpo", "target_rpo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="A finished demo.")
    parser.add_argument("--methods", nargs="*", default=[*METHODS, "swapped"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0], help="Training seeds.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config = load_config(options.run / "config.yaml")
    with Store.open(options.run, write=False) as store:
        pairs = list(store.pairs(kept=True))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for method in options.methods:
                rows.append(measure(Path(folder) / f"{method}-{seed}", config, pairs, method, seed))
                print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"pairs": len(pairs), "rows": rows}, indent=1))


def measure(folder: Path, config, pairs: list[PreferencePair], method: str, seed: int) -> dict[str, object]:
    """Train with one method in a run folder of its own and compare with the untrained model."""
    chosen = [swapped(pair) for pair in pairs] if method == "swapped" else pairs
    training = config.training | {"method": "target_rpo" if method == "swapped" else method, "seed": seed}
    config = config.model_copy(update={"training": training})
    with Store.open(folder) as store:
        write_dataset(folder / "pairs", chosen)
        pipeline.train(RunFolder(folder), config)
        run = OpenedRun(store, config)
        before, after = pipeline.evaluate(run, config.model), pipeline.evaluate(run, str(run.folder.model))
    result = compare(before, after)
    return {
        "method": method,
        "seed": seed,
        "base": round(result.first_pass_at_k, 4),
        "trained": round(result.second_pass_at_k, 4),
        "won": len(result.won),
        "lost": len(result.lost),
        "mcnemar_p": result.mcnemar_p,
    }


if __name__ == "__main__":
    main()
