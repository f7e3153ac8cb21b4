"""The paper's Table 1 of our own Results: cells, averages, intervals by tasks, and how it is written."""

import numpy as np
import pytest

from iterpref.analysis.compare import compare
from iterpref.analysis.suite import PAPER_COLUMNS, SuiteTable, bootstrap_sum, suite_table
from iterpref.errors import RecordError
from iterpref.records import Execution, Result, Sample
from iterpref.viewer.suite import as_latex, as_markdown


def result(solved: str, benchmark: str = "own", prefix: str = "t", data: str = "d", broken: int = 0) -> Result:
    """`solved`: one character a task, + or -."""
    samples = tuple(
        Sample(
            task_id=f"{prefix}/{i}",
            sample_index=0,
            completion="",
            program="",
            execution=Execution(verdict="passed" if sign == "+" else "failed", trust="oracle", isolation="zygote"),
        )
        for i, sign in enumerate(solved)
    )
    return Result(
        result_id=f"{benchmark}:{solved}", benchmark=benchmark, model="m", dataset_hash=data, protocol="p",
        samples=samples, metrics={}, broken={f"{prefix}/b{i}": "timeout" for i in range(broken)},
    )  # fmt: skip


def table(**models: list[Result]) -> SuiteTable:
    cells = {model: {found.benchmark: found for found in results} for model, results in models.items()}
    benchmarks = list(dict.fromkeys(found.benchmark for results in models.values() for found in results))
    return suite_table(cells, benchmarks, next(iter(models)))


def test_cells_averages_and_differences() -> None:
    before = [result("+---", "humaneval"), result("++--------", "mbpp", "m")]
    after = [result("+++-", "humaneval"), result("+++-------", "mbpp", "m")]
    made = table(before=before, after=after)
    assert made.rows[0].values == {"humaneval": 0.25, "mbpp": 0.2}
    assert made.rows[1].average == pytest.approx((0.75 + 0.3) / 2)
    assert made.rows[0].differences == {} and made.rows[0].average_difference is None
    one = compare(before[0], after[0])
    found = made.rows[1].differences["humaneval"]
    assert (found.value, found.low, found.high) == (one.difference, one.low, one.high)
    average = made.rows[1].average_difference
    assert average is not None
    assert average.value == pytest.approx((0.5 + 0.1) / 2)
    assert average.low < average.value < average.high


def test_the_average_is_drawn_by_tasks_not_by_cells() -> None:
    """Of two columns with the same tasks and outcomes, it is as uncertain as one; of two apart, less."""
    rng = np.random.default_rng(0)
    outcomes = ["".join("+" if x else "-" for x in rng.random(200) < p) for p in (0.4, 0.5)]
    one = table(a=[result(outcomes[0])], b=[result(outcomes[1])]).rows[1].average_difference
    same = table(
        a=[result(outcomes[0]), result(outcomes[0], "plus")], b=[result(outcomes[1]), result(outcomes[1], "plus")]
    ).rows[1].average_difference  # fmt: skip
    apart = (
        table(
            a=[result(outcomes[0]), result(outcomes[0], "plus", "u")],
            b=[result(outcomes[1]), result(outcomes[1], "plus", "u")],
        )
        .rows[1]
        .average_difference
    )
    assert one is not None and same is not None and apart is not None
    assert same.high - same.low == pytest.approx(one.high - one.low, rel=0.05)
    assert apart.high - apart.low == pytest.approx((one.high - one.low) / 2**0.5, rel=0.05)


def test_the_interval_is_that_of_the_normal_law_for_many_tasks() -> None:
    """Two groups of 400 and 100 tasks, each with a share of 1 / (2 n) or none."""
    groups = [{0.0: 240, 1 / 800: 160}, {0.0: 30, 1 / 200: 70}]
    low, high = bootstrap_sum(groups, 0.95)
    error = ((0.4 * 0.6 / 400 + 0.7 * 0.3 / 100) / 4) ** 0.5
    assert (low + high) / 2 == pytest.approx((0.4 + 0.7) / 2, abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_a_row_with_an_empty_cell_has_no_average() -> None:
    made = table(a=[result("+-", "x"), result("+-", "y")], b=[result("++", "x")])
    assert made.rows[1].values == {"x": 1.0, "y": None}
    assert made.rows[1].average is None and made.rows[1].average_difference is None
    assert made.rows[1].differences.keys() == {"x"}
    assert "| b | 100.0 | – | – |" in as_markdown(made)


def test_bad_input_results_that_can_not_be_compared_are_said() -> None:
    made = table(a=[result("+-")], b=[result("++", data="other")], c=[result("++-")])
    assert made.rows[1].differences == {} == made.rows[2].differences
    assert any("b on own is not compared: " in why and "dataset_hash" in why for why in made.missing)
    assert any("c on own is not compared: " in why and "1 tasks are in only one of them" in why for why in made.missing)
    assert made.rows[1].average == 1.0


def test_bad_input_a_baseline_that_is_no_row() -> None:
    with pytest.raises(RecordError, match=r"--baseline x: not among the models; expected one of a, b"):
        suite_table({"a": {}, "b": {}}, ["own"], "x")


def test_the_papers_columns_in_its_order() -> None:
    assert list(PAPER_COLUMNS.values()) == ["HE", "HE+", "MB", "MB+", "BC", "BI", "HC", "HI", "LCB"]


WRITTEN = """\
| model | HE | MB+ | Avg |
| --- | ---: | ---: | ---: |
| a_b | 25.0 | 50.0 | 37.5 |
| c\\|50% | 75.0 | 50.0 | 62.5 |
|  | +50.0 (0.0 to +100.0) | 0.0 (–) | +25.0 (0.0 to +50.0) |

- pass@1 in percent; tasks: HE 4, MB+ 2
- below a row: points over a_b with the 95 % interval of a paired bootstrap over tasks
- left out, because their own solution fails on this machine: HE 2
"""
LATEX = r"""% iterpref suite
\begin{tabular}{lrrr}
\toprule
Model & HE & MB+ & Avg \\
\midrule
a\_b & 25.0 & \textbf{50.0} & 37.5 \\
c|50\% & \textbf{75.0} & \textbf{50.0} & \textbf{62.5} \\
 & {\scriptsize +50.0 (0.0 to +100.0)} & {\scriptsize 0.0 (--)} & {\scriptsize +25.0 (0.0 to +50.0)} \\
"""


def test_how_it_is_written() -> None:
    made = table(
        **{"a_b": [result("+---", "humaneval", broken=2), result("+-", "mbpp+", "m")]},
        **{"c|50%": [result("+++-", "humaneval", broken=2), result("+-", "mbpp+", "m")]},
    )
    assert as_markdown(made) == WRITTEN
    latex = as_latex(made)
    assert latex.startswith(LATEX)
    assert latex.endswith("\\bottomrule\n\\end{tabular}\n" + latex.split("\\end{tabular}\n")[1])
    assert all(line.startswith("%") for line in latex.split("\\end{tabular}\n")[1].splitlines())


def test_why_a_cell_is_empty_is_one_line() -> None:
    """Whatever a server's last words were: LaTeX would set the second one as text."""
    made = suite_table({"m": {}}, ["own"], "m", missing=["m on own: vllm ended:\nCUDA error\n50 % of 80 GB"])
    behind = as_latex(made).split("\\end{tabular}\n")[1].splitlines()
    assert all(line.startswith("%") for line in behind)
    assert behind[-1] == "% m on own: vllm ended: CUDA error 50 % of 80 GB"
    assert as_markdown(made).splitlines()[-1] == "- m on own: vllm ended: CUDA error 50 % of 80 GB."
