"""The trajectories of an opened run → focal pairs in its store; and a judge's word on those that are kept.

Not here: the making of one pair (pair.py), a judge's question (judge_pairs.py), the files of pairs (parquet.py).
"""

from contextlib import ExitStack

from iterpref.opened_run import OpenedRun
from iterpref.pairing.failing_path import FailingPath
from iterpref.pairing.filters import estimated_tokens
from iterpref.pairing.judge_pairs import JudgeProgress, judge_pairs
from iterpref.pairing.pair import make_pairs
from iterpref.waiting import wait_for


def pair_run(run: OpenedRun) -> None:
    """Make the run's pairs anew, of its trajectories and of the pairs it imported.

    Raises:
        StoreError: It has neither.
    """
    sources = run.store.count("trajectories") + run.store.count("imported_pairs")
    run.need(sources, "trajectories or imported pairs", "iterpref debug or import makes them")
    settings = run.config.pairing
    count = run.token_counter(settings.tokenizer) if settings.tokenizer else estimated_tokens
    with ExitStack() as stack:
        path = None
        if settings.failing_path:
            sandbox = run.sandbox()
            stack.callback(sandbox.close)
            path = FailingPath(sandbox, run.config.seed, run.config.limits).lines
        done = 0

        def told() -> None:
            nonlocal done
            done += 1
            run.on_progress("pair", done, sources, "")

        run.store.replace_pairs(make_pairs(run.store, settings, run.config.seed, count, path, told))


def judge_run(run: OpenedRun) -> JudgeProgress:
    """Ask for each kept pair whether its difference is logical.

    Raises:
        StoreError: No pair is kept.
        BudgetError, EndpointError: It must stop; what was judged is stored.
    """
    pairs = list(run.store.pairs(kept=True))
    run.need(len(pairs), "kept pairs to judge", "iterpref pair makes them")
    prompts = run.prompts
    with run.judge_ledger() as ledger:
        shows = run.shows("judge")
        return wait_for(judge_pairs(pairs, ledger, run.store, shows, again=run.asks_again, prompts=prompts))
