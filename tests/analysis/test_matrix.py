"""Several results at once: Holm's correction, what is refused, and the command with its Markdown, JSON and HTML."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from iterpref.analysis import Entrant, compare_all, load_entrant
from iterpref.analysis.compare import holm
from iterpref.errors import RecordError, StoreError
from iterpref.records import Execution, Result, Sample
from iterpref.store import Store


def result(name: str, solved: str, benchmark: str = "own", program: str = "def f(): pass") -> Result:
    """`solved`: one character a task, + or -."""
    samples = tuple(
        Sample(
            task_id=f"t{i}",
            sample_index=0,
            completion="",
            program=program,
            execution=Execution(verdict="passed" if sign == "+" else "failed", trust="oracle", isolation="zygote"),
        )
        for i, sign in enumerate(solved)
    )
    return Result(result_id=name, benchmark=benchmark, model=name, dataset_hash="d", protocol="p", samples=samples,
                  metrics={"pass@1": 0.5})  # fmt: skip


def entrant(name: str, *results: Result) -> Entrant:
    return Entrant(name=name, results={r.benchmark: r for r in results})


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        pytest.param([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02], id="Holm's own pattern"),
        pytest.param([0.5, 0.9], [1.0, 1.0], id="at most one"),
        pytest.param([], [], id="none"),
    ],
)
def test_holm_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


def test_holm_is_never_below_benjamini_hochberg_and_never_above_bonferroni() -> None:
    p_values = np.random.default_rng(0).uniform(0, 0.2, 20)
    adjusted = np.array(holm(list(p_values)))
    assert (adjusted >= stats.false_discovery_control(p_values) - 1e-12).all()
    assert (adjusted <= np.minimum(1, 20 * p_values) + 1e-12).all()


def test_every_pair_on_every_benchmark() -> None:
    first = entrant("a", result("1", "----------"), result("2", "+-", "other"))
    second = entrant("b", result("3", "++++++++--"), result("4", "-+", "other"))
    third = entrant("c", result("5", "+---------"))
    matrix = compare_all([first, second, third])
    assert [(c.benchmark, c.first, c.second) for c in matrix.comparisons] == [
        ("own", "a", "b"),
        ("own", "a", "c"),
        ("own", "b", "c"),
        ("other", "a", "b"),
    ]
    assert matrix.values == {"own": {"a": 0.0, "b": 0.8, "c": 0.1}, "other": {"a": 0.5, "b": 0.5, "c": None}}
    assert [c.mcnemar_p for c in matrix.comparisons] == [2 / 256, 1.0, 2 / 128, 1.0]
    assert [c.holm_p for c in matrix.comparisons] == pytest.approx([4 * 2 / 256, 1.0, 3 * 2 / 128, 1.0])
    assert len(matrix.not_compared) == 2


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no benchmark in common"):
        compare_all([entrant("a", result("1", "+")), entrant("b", result("2", "+", "other"))])
    with pytest.raises(RecordError, match="the names a, a are not distinct"):
        compare_all([entrant("a", result("1", "+")), entrant("a", result("2", "+"))])
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(RecordError, match="not a Result"):
        load_entrant(tmp_path / "x.json")
    with pytest.raises(RecordError, match="can't read this result"):
        load_entrant(tmp_path / "y.json")
    with pytest.raises(StoreError, match="no run here"):
        load_entrant(tmp_path)
    with Store.open(tmp_path / "run") as store:
        store.put_result(result("1", "+"))
        store.put_result(result("2", "-"))
    with pytest.raises(RecordError, match=r"several results on own; name one of its files:\n.*1.json: 1 on own"):
        load_entrant(tmp_path / "run")


def test_the_command(tmp_path: Path) -> None:
    files = []
    for name, solved, program in (("one", "+--", "x = '</pre><script>alert(1)</script>'"), ("two", "+++", "y = 2")):
        folder = tmp_path / name / "results"
        folder.mkdir(parents=True)
        files.append(folder / "r.json")
        files[-1].write_text(result(name, solved, program=program).model_dump_json())
    outputs = ["--markdown", str(tmp_path / "c.md"), "--html", str(tmp_path / "c.html"), "--json"]
    command = [sys.executable, "-m", "iterpref", "compare", *map(str, files), *outputs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (comparison,) = json.loads(done.stdout.splitlines()[-1])["comparisons"]
    assert (comparison["won"], comparison["lost"], comparison["mcnemar_p"]) == (["t1", "t2"], [], 0.5)
    markdown = (tmp_path / "c.md").read_text()
    assert "| own | one/r one | two/r two | +66.7 |" in markdown and "| own | 33.3\u00a0% | 100.0\u00a0% |" in markdown
    page = re.sub("</?mark>", "", (tmp_path / "c.html").read_text())
    assert "y = 2" in page and "&lt;/pre&gt;&lt;script&gt;" in page and "<script" not in page
