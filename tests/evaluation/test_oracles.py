"""Our numbers against others': the paper's own formula, evalplus 0.3.1, and published results.

evalplus lives in an environment of its own; `ITERPREF_EVALPLUS` names its Python, and without it these tests skip.
"""

import asyncio
import gzip
import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from data import shared

from iterpref.config import Config, EvaluationConfig
from iterpref.evaluation import RecordedAnswers, evaluate, load_benchmark, read_samples
from iterpref.sandbox import Sandbox
from iterpref.statistics import pass_at_k
from iterpref.store import Store

DRAWN = [(n, c, k) for n in (1, 5, 20, 100, 200) for c in {0, 1, n // 3, n - 1, n} for k in {1, min(10, n), n}]


@pytest.mark.parametrize(("samples", "correct", "k"), DRAWN)
def test_pass_at_k_is_the_product_of_the_papers_code(samples: int, correct: int, k: int) -> None:
    """Fig. 3 of arXiv:2107.03374: 1 where fewer than k are wrong, else one minus a product of n - c + 1 to n terms."""
    terms = np.arange(samples - correct + 1, samples + 1)
    expected = 1.0 if samples - correct < k else 1.0 - float(np.prod(1.0 - k / terms))
    assert pass_at_k(samples, correct, k) == pytest.approx(expected, abs=1e-12)


@pytest.fixture
def evalplus() -> str:
    python = os.environ.get("ITERPREF_EVALPLUS")
    if not python or not Path(python).is_file():
        pytest.skip("needs evalplus 0.3.1 (set ITERPREF_EVALPLUS to the Python of its environment)")
    return python


@pytest.mark.slow
def test_pass_at_k_equals_evalplus(evalplus: str) -> None:
    draw = random.Random(0)
    cases = [(n, draw.randint(0, n), draw.randint(1, n)) for n in (draw.randint(1, 300) for _ in range(200))]
    program = (
        "import json, sys; from evalplus.eval import estimate_pass_at_k; "
        "print(json.dumps([float(estimate_pass_at_k(n, [c], k)[0]) for n, c, k in json.load(sys.stdin)]))"
    )
    told = subprocess.run(
        [evalplus, "-c", program], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    assert [pass_at_k(*case) for case in cases] == pytest.approx(json.loads(told.stdout.splitlines()[-1]), abs=1e-9)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("model", "imports", "published"),
    [
        # Baselines of LDB (arXiv:2402.16906), whose seed programs were recorded. Three of them lean on imports that
        # are not theirs: one of GPT-3.5 on List, two of StarCoder on math; without these they fail here.
        pytest.param("ldb-seed:gpt-3.5-turbo-0613", "from typing import List\n", 73.8, id="GPT-3.5"),
        pytest.param("ldb-seed:codellama", "", 49.4, id="CodeLlama"),
        pytest.param("ldb-seed:starcoder", "import math\n", 39.0, id="StarCoder"),
    ],
)
def test_published_pass_at_1(model: str, imports: str, published: float, tmp_path: Path, sandbox: Sandbox) -> None:
    benchmark = load_benchmark("humaneval", path=shared("benchmarks/humaneval.jsonl"))
    with gzip.open(shared("benchmarks/samples_greedy_mixed.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if (row["benchmark"], row["model"]) == ("humaneval", model)]
    path = tmp_path / "samples.jsonl"
    lines = [{"task_id": row["task_id"], "solution": imports + row["solution"]} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = Config(evaluation=EvaluationConfig(benchmark="humaneval"))
    answers = RecordedAnswers(read_samples(path, benchmark.tasks), benchmark.tasks, config.evaluation.k)
    with Store.open(tmp_path / "run") as store:
        result = asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store))
    assert round(100 * result.metrics["pass@1"], 1) == published
