"""Benchmark → completions → programs → Result: pass@k of a model, or of a file of completions.

    config = Config(evaluation=EvaluationConfig(benchmark="humaneval+"))
    with Store.open("runs/a") as store, Sandbox() as sandbox:
        benchmark = load_benchmark("humaneval+", sandbox=sandbox)
        samples = read_samples(Path("samples.jsonl"), benchmark.tasks, missing=benchmark.broken)
        answers = RecordedAnswers(samples, benchmark.tasks, config.evaluation.k)
        result = asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store))
    write_result(result, Path("runs/a/results"))

The same without a run: `score_samples("samples.jsonl", "humaneval+")`. A model's completions are
`GeneratedAnswers(ledger, benchmark, config)`. A benchmark is one file in benchmarks/.
Not here: comparing Results, and what failures have in common (`analysis`).
"""

from iterpref.evaluation.answer_sources import GeneratedAnswers, RecordedAnswers
from iterpref.evaluation.benchmarks import Benchmark, TaskChoice, load_benchmark
from iterpref.evaluation.checkpoint_scorer import CheckpointScorer
from iterpref.evaluation.evaluate import count_refused, evaluate
from iterpref.evaluation.evaluate_run import evaluate_model, evaluate_samples, stronger_tasks
from iterpref.evaluation.samples import Answer, read_samples, write_result
from iterpref.evaluation.score_samples import score_samples
from iterpref.evaluation.suite import SuiteCell, evaluate_suite, suite_settings

__all__ = ["Answer", "Benchmark", "CheckpointScorer", "GeneratedAnswers", "RecordedAnswers", "SuiteCell", "TaskChoice",
           "count_refused", "evaluate", "evaluate_model", "evaluate_samples", "evaluate_suite", "load_benchmark",
           "read_samples", "score_samples", "stronger_tasks", "suite_settings", "write_result"]  # fmt: skip
