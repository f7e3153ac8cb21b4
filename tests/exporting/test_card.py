from pathlib import Path

import pytest
import yaml

from iterpref.analysis.dataset import card_facts, quality_histogram
from iterpref.analysis.funnel import PairTally
from iterpref.config import PairingConfig
from iterpref.exporting import FORMATS, dataset_card
from iterpref.exporting.card import hub_license
from iterpref.records import FilterVerdict, TestQuality, Trajectory
from iterpref.store import Store


def card(run: Store, **settings: object) -> str:
    values = PairingConfig(**settings).model_dump()
    return dataset_card(card_facts(run, PairTally.of(run.pairs())), values, "train.jsonl", FORMATS["ms_swift"].focal)


def test_the_card_states_what_stands_behind_the_pairs(run: Store) -> None:
    text = card(run)
    _, front, page = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "mit",
        "configs": [{"config_name": "default", "data_files": "train.jsonl"}],
        "tags": ["preference", "code", "iterpref"],
        "size_categories": ["n<1K"],
    }
    assert "2 tasks, 2 of them solved, 2 pairs kept, 2.0 model calls for each" in page
    assert "| 0 | 0 | 0.000 | 2 |\n| 1 | 2 | 1.000 | 4 |" in page  # solved and calls up to each repair
    assert "| candidates | 2 |" in page
    assert "| openai:m | 4 | 40 | 20 | 1.0000 |" in page
    assert "host:1" not in page  # a private endpoint's address is nobody's business
    assert "- MIT: 2 pairs" in page
    assert "| 0.6 to 0.8 | 0 | 0 | 1 |" in page
    assert "| 1 | 1 | 0 | 0 |" in page
    assert "Not checked (`pairing.benchmarks`" in page
    assert "only those with `loss: true` are penalised" in page


def test_stumble_13_tasks_of_two_clients_are_not_counted_twice(run: Store) -> None:
    wrong = next(run.trajectories()).attempts[0]
    run.put_attempt("a:other", "a", wrong, "a0")
    run.put_trajectory(
        Trajectory(trajectory_id="a:other", task_id="a", attempts=(wrong,), status="unresolved", client="n@host:1/v1")
    )
    text = card(run)
    assert "(3 tasks)" not in text
    assert "Debugging, by repair, by m (2 tasks):" in text
    assert "Debugging, by repair, by n (1 task):" in text
    assert "| 0 | 0 | 0.000 | 1 |" in text  # of n
    assert "| 1 | 2 | 1.000 | 4 |" in text  # of m, as before


def test_contamination_is_listed_and_paths_are_cut(run: Store, tmp_path: Path) -> None:
    hit = FilterVerdict(name="contamination", kept=False, reason="close to HumanEval/3")
    run.replace_pairs([pair.model_copy(update={"filters": (hit,)}) for pair in list(run.pairs())[:1]])
    text = card(run, benchmarks=(str(tmp_path / "humaneval.jsonl"),), tokenizer=str(tmp_path))
    assert "Checked against: humaneval.jsonl." in text
    assert "close to HumanEval/3" in text
    assert str(tmp_path) not in text


def test_an_empty_run_has_a_card(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        text = card(store)
    assert "The pairs were imported; no task was run here." in text
    assert "No model was called in this run." in text
    assert "Not measured (`iterpref validate` does)." in text


@pytest.mark.parametrize(
    ("licenses", "name"),
    [
        pytest.param({"MIT": 3}, "mit", id="one"),
        pytest.param({"MIT": 3, "Apache-2.0": 1}, "other", id="two"),
        pytest.param({"": 3}, "other", id="not stated"),
        pytest.param({"Our own": 3}, "other", id="unknown to the hub"),
        pytest.param({}, "other", id="none"),
    ],
)
def test_the_hub_s_licence(licenses: dict[str, int], name: str) -> None:
    assert hub_license(licenses) == name


def test_the_histogram_s_borders() -> None:
    made = [
        TestQuality(task_id="t", tests_hash="", program_hash=str(i), repeats=1, repeats_passed=1, line_coverage=share)
        for i, share in enumerate([0.0, 0.19, 0.2, 0.6, 0.999, 1.0, None])
    ]
    rows = quality_histogram(made)
    assert [row.line_coverage for row in rows] == [2, 1, 0, 1, 1, 1]
    assert [row.mutation_score for row in rows] == [0] * 6
    assert rows[0].label, rows[-1].label == ("0.0 to 0.2", "1")
