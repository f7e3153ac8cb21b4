from pathlib import Path

import pytest
from datasets import load_dataset

from iterpref import pipeline
from iterpref.config import PairingConfig
from iterpref.config.load import parse_config
from iterpref.errors import ConfigError, RecordError
from iterpref.opened_run import OpenedRun
from iterpref.pairing.filters import Filters, same_ast
from iterpref.pairing.pair import focal_pair, make_pairs, pairs_of
from iterpref.pairing.parquet import write_dataset
from iterpref.programs import fenced
from iterpref.records import Attempt, Execution, ImportedPair, Message, Span, Task, TestFile, Trajectory
from iterpref.store import Store

PASSED = Execution(verdict="passed", trust="oracle", isolation="zygote")
FAILED = Execution(verdict="failed", trust="oracle", isolation="zygote")
TASK = Task(
    task_id="t/1",
    prompt="Double x.",
    tests=(TestFile(path="t.py", content="assert f(2) == 4"),),
    style="assert",
    entry_point="f",
    license="MIT",
)
WRONG = "def f(x):\n    y = x + 1\n    return y"
WORSE = "def f(x):\n    y = x - 1\n    return y"
RIGHT = "def f(x):\n    y = x * 2\n    return y"
EACH = PairingConfig(negatives="each")


def trajectory(*programs: str, passing: int | None = None, origin: str = "debugging") -> Trajectory:
    attempts = tuple(
        Attempt(
            iteration=i,
            program=program,
            completion=f"Here you are:\n{fenced(program)}",
            execution=PASSED if i == passing else FAILED,
        )
        for i, program in enumerate(programs)
    )
    status = "unresolved" if passing is None else "passed"
    return Trajectory(
        trajectory_id=f"t/1:{origin}", task_id="t/1", attempts=attempts, status=status, client="m", origin=origin
    )


@pytest.mark.parametrize(
    ("negatives", "rejected"),
    [("first", [0]), ("last", [2]), ("each", [0, 1, 2]), ("random", None)],
)
def test_negatives(negatives: str, rejected: list[int] | None) -> None:
    runs = trajectory(WRONG, WORSE, WRONG + "\n", RIGHT, passing=3)
    pairs = pairs_of(TASK, runs, PairingConfig(negatives=negatives))
    assert [p.chosen_iteration for p in pairs] == [3] * len(pairs)
    if rejected is not None:
        assert [p.rejected_iteration for p in pairs] == rejected
    else:
        chosen = {pairs_of(TASK, runs, PairingConfig(), seed)[0].rejected_iteration for seed in range(50)}
        assert chosen == {0, 1, 2}
        assert pairs_of(TASK, runs, PairingConfig(), 3) == pairs_of(TASK, runs, PairingConfig(), 3)


@pytest.mark.parametrize(
    "runs", [trajectory(WRONG, WORSE), trajectory(RIGHT, passing=0)], ids=["unresolved", "at once"]
)
def test_no_pair_without_a_failure_and_a_fix(runs: Trajectory) -> None:
    assert pairs_of(TASK, runs, EACH) == []


def test_the_first_passing_version_is_chosen() -> None:
    later = trajectory(WRONG, RIGHT, WORSE, passing=1)
    assert [(p.rejected_iteration, p.chosen_iteration) for p in pairs_of(TASK, later, EACH)] == [(0, 1)]


def test_prompt_and_rendering() -> None:
    """The task's own prompt, never a feedback turn; programs in one template, never the prose of the reply."""
    [made] = pairs_of(TASK, trajectory(WRONG, RIGHT, passing=1), EACH)
    assert made.prompt == (Message(role="user", content="Double x."),)
    assert made.chosen == fenced(RIGHT)
    assert [made.rejected[s.start : s.stop] for s in made.rejected_spans] == ["    y = x + 1\n"]
    assert [made.chosen[s.start : s.stop] for s in made.chosen_spans] == ["    y = x * 2\n"]
    [text] = pairs_of(TASK, trajectory(WRONG, RIGHT, passing=1), PairingConfig(prompt_format="text"))
    assert text.prompt == "Double x."
    turns = TASK.model_copy(update={"prompt": (Message(role="user", content="Double x."),)})
    with pytest.raises(ConfigError, match="task t/1"):
        pairs_of(turns, trajectory(WRONG, RIGHT, passing=1), PairingConfig(prompt_format="text"))


@pytest.mark.parametrize(
    ("rejected", "chosen", "dropped_by"),
    [
        pytest.param(WRONG, RIGHT, None, id="kept"),
        pytest.param("", RIGHT, "program", id="no program"),
        pytest.param("def g(): pass", RIGHT, "entry_point", id="answers another question"),
        pytest.param("def f(x):\n    return y", RIGHT, "wrong_lines", id="insertion only"),
        pytest.param("# todo\n" + RIGHT, RIGHT + "\n# done", "comments", id="only comments"),
        pytest.param("def f(x):\n" + "    x += 1\n" * 21 + "    return x", RIGHT, "removed_lines", id="21 wrong lines"),
        pytest.param(f"def f(x):\n    return '{'a' * 6200}'", RIGHT, "tokens", id="too long"),
        pytest.param("def f(x):\n    y = (x * 2)\n    return y", RIGHT, "same_ast", id="parentheses only"),
        pytest.param(
            'def f(x):\n    "A"\n    return x', 'def f(x):\n    "B"\n    return x', "same_ast", id="docstring"
        ),
    ],
)
def test_filters(rejected: str, chosen: str, dropped_by: str | None) -> None:
    [made] = pairs_of(TASK, trajectory(rejected, chosen, passing=1), EACH)
    checked = Filters(EACH).check(made, "f")
    first = next((verdict for verdict in checked.filters if not verdict.kept), None)
    assert (first and first.name) == dropped_by
    assert checked.kept == (dropped_by is None)
    assert all(bool(verdict.reason) != verdict.kept for verdict in checked.filters)


def test_twenty_wrong_lines_are_kept() -> None:
    [made] = pairs_of(TASK, trajectory("def f(x):\n" + "    x += 1\n" * 20 + "    return y", RIGHT, passing=1), EACH)
    assert len(made.rejected_spans) == 20
    assert Filters(EACH).check(made, "f").kept


def test_a_hash_sign_in_a_string_is_code() -> None:
    before = 'def f(x):\n    s = """\n# a\n"""\n    return s'
    [made] = pairs_of(TASK, trajectory(before, before.replace("# a", "# b"), passing=1), EACH)
    assert Filters(EACH).check(made, "f").kept


def test_duplicates_are_dropped_once() -> None:
    filters = Filters(EACH)
    first, second = pairs_of(TASK, trajectory(WRONG, WRONG, RIGHT, passing=2), EACH)
    assert filters.check(first, "f").kept
    assert [v.name for v in filters.check(second, "f").filters if not v.kept] == ["duplicate"]


def test_a_rejected_program_that_was_cut_takes_no_other_pair_with_it() -> None:
    filters = Filters(EACH)
    first, second = pairs_of(TASK, trajectory(WRONG, WRONG, RIGHT, passing=2), EACH)
    dropped = [v for v in filters.check(first, "f", cut=True).filters if not v.kept]
    assert [(v.name, v.reason.split(" (")[0]) for v in dropped] == [
        ("cut", "the rejected program was cut at max_tokens")
    ]
    assert filters.check(second, "f").kept, "the same program, written to its end"
    assert Filters(PairingConfig(cut="keep")).check(first, "f", cut=True).kept


def test_policies_for_insertion_only_fixes() -> None:
    runs = trajectory("def f(x):\n    return y", RIGHT, passing=1)
    [full] = pairs_of(TASK, runs, PairingConfig(empty_removed="full"))
    assert [full.rejected[s.start : s.stop] for s in full.rejected_spans] == ["def f(x):\n", "    return y\n"]
    assert Filters(PairingConfig(empty_removed="full")).check(full, "f").kept
    stop = PairingConfig(empty_removed="error")
    [empty] = pairs_of(TASK, runs, stop)
    with pytest.raises(RecordError, match="t/1:debugging#0-1: the fix only inserts lines"):
        Filters(stop).check(empty, "f")


@pytest.mark.parametrize(
    ("before", "skipped_by"),
    [
        pytest.param("def f(x):\n    return y", ["r"], id="the next line's first character that differs"),
        pytest.param("def f(x):\n    y = x * 2", ["`"], id="the end of the block came too early"),
        pytest.param("    return y", ["    "[0]], id="the first line is missing"),
        pytest.param("def f(x):", ["`"], id="all that follows is missing"),
    ],
)
def test_anchors_of_insertion_only_fixes(before: str, skipped_by: list[str]) -> None:
    anchor = PairingConfig(empty_removed="anchor")
    [made] = pairs_of(TASK, trajectory(before, RIGHT, passing=1), anchor)
    assert [made.rejected[s.start : s.stop] for s in made.rejected_spans] == skipped_by
    verdicts = {verdict.name: verdict.kept for verdict in Filters(anchor).check(made, None).filters}
    assert verdicts["wrong_lines"] and verdicts["comments"] and verdicts["removed_lines"]


def test_an_anchor_per_run_of_missing_lines_and_none_where_lines_were_wrong() -> None:
    anchor = PairingConfig(empty_removed="anchor")
    right = "def f(x):\n    a = 1\n    y = x\n    y += x\n    return y"
    [made] = pairs_of(TASK, trajectory("def f(x):\n    y = x\n    return y", right, passing=1), anchor)
    places = [made.rejected[span.start :].split("\n")[0] for span in made.rejected_spans]
    assert places == ["y = x", "return y"]
    wrong, plain = (pairs_of(TASK, trajectory(WRONG, RIGHT, passing=1), s)[0] for s in (anchor, EACH))
    assert wrong.rejected_spans == plain.rejected_spans


def test_a_text_that_ends_where_lines_are_missing_has_no_anchor() -> None:
    anchor = PairingConfig(empty_removed="anchor")
    imported = ImportedPair(pair_id="i", task_id="i", prompt="Q", chosen="a = 1\nb = 2", rejected="a = 1")
    made = focal_pair(imported, anchor)
    assert made.rejected_spans == ()
    dropped = [verdict.name for verdict in Filters(anchor).check(made, None).filters if not verdict.kept]
    assert dropped == ["wrong_lines"]


def test_same_ast_of_broken_programs() -> None:
    assert not same_ast("def f(:", "def f(:")


def test_imported_pairs_keep_their_text() -> None:
    imported = ImportedPair(
        pair_id="i",
        task_id="i",
        prompt="Q",
        chosen="Try this.\n```python\na = 1\nb = 2\n```\nBye.",
        rejected="Or that.\n```python\na = 1\nb = 3\n```",
    )
    made = focal_pair(imported, EACH)
    assert (made.chosen, made.rejected) == (imported.chosen, imported.rejected)
    assert [made.rejected[s.start : s.stop] for s in made.rejected_spans] == ["b = 3\n"]
    assert made.render_template == "as_imported"


@pytest.mark.parametrize(
    ("negatives", "made"),
    [
        pytest.param("each", [(0, 1), (2, 1), (0, 3), (2, 3)], id="passing × failing"),
        pytest.param("first", [(0, 1), (0, 3)], id="one for each passing draw"),
        pytest.param("last", [(2, 1), (2, 3)], id="a draw after the passing one"),
    ],
)
def test_every_passing_draw_of_a_sampling_run_is_chosen(negatives: str, made: list[tuple[int, int]]) -> None:
    drawn = trajectory(WRONG, RIGHT, WORSE, RIGHT + "\n", passing=1, origin="sampling")
    again = drawn.attempts[3].model_copy(update={"execution": PASSED})
    drawn = drawn.model_copy(update={"attempts": (*drawn.attempts[:3], again)})
    pairs = pairs_of(TASK, drawn, PairingConfig(negatives=negatives))
    assert [(p.rejected_iteration, p.chosen_iteration) for p in pairs] == made
    assert {p.origin for p in pairs} == {"sampling"}
    for other in (trajectory(RIGHT, passing=0, origin="sampling"), trajectory(WRONG, origin="sampling")):
        assert pairs_of(TASK, other, PairingConfig(negatives=negatives)) == []


@pytest.fixture
def run(tmp_path: Path) -> Store:
    store = Store.open(tmp_path / "run")
    store.put_tasks([TASK])
    for made in (
        trajectory(WRONG, WORSE, RIGHT, passing=2),
        trajectory(WRONG, RIGHT, passing=1, origin="sampling"),
    ):
        for attempt in made.attempts:
            key = f"{made.trajectory_id}{attempt.iteration}"
            store.put_execution(key, attempt.execution)
            store.put_attempt(made.trajectory_id, made.task_id, attempt, key)
        store.put_trajectory(made)
    return store


def test_a_run_becomes_a_dataset_that_trl_reads(run: Store) -> None:
    pairs = list(make_pairs(run, EACH))
    assert [p.rejected_iteration for p in pairs] == [0, 1]  # sampling trajectories make no pairs
    run.replace_pairs(pairs)
    folder = run.folder / "pairs"
    assert write_dataset(folder, run.pairs(kept=True)) == 2
    loaded = load_dataset("parquet", data_files=str(folder / "train.parquet"), split="train", cache_dir=str(run.folder))
    assert {"prompt", "chosen", "rejected", "rejected_spans"} <= set(loaded.column_names)
    row = loaded[0]
    assert row["prompt"] == [{"role": "user", "content": "Double x."}]
    assert [Span(**span) for span in row["rejected_spans"]] == list(pairs[0].rejected_spans)
    assert row["content_hash"] == pairs[0].content_hash


def test_mixed_prompts_are_refused(run: Store, tmp_path: Path) -> None:
    turns, text = pairs_of(TASK, trajectory(WRONG, WORSE, RIGHT, passing=2), EACH)
    text = text.model_copy(update={"prompt": "Double x."})
    with pytest.raises(RecordError, match="its prompt is text, unlike those before it"):
        write_dataset(tmp_path / "pairs", [turns, text])
    assert not (tmp_path / "pairs" / "train.parquet").exists()


def test_pairing_again_with_other_settings_asks_no_model(run: Store) -> None:
    """Another negative, another diff, another filter: from the store, with an endpoint that nobody could reach."""
    endpoint = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}

    def made(**pairing: object) -> list[tuple[int | None, str, bool]]:
        pipeline.pair(OpenedRun(run, parse_config({"client": endpoint, "pairing": pairing})))
        return [(p.rejected_iteration, p.diff, p.kept) for p in run.pairs()]

    assert made(negatives="each") == [(0, "lcs", True), (1, "lcs", True)]
    assert made(negatives="last", diff="prefix_suffix") == [(1, "prefix_suffix", True)]
    assert made(negatives="first", max_tokens=1) == [(0, "lcs", False)]
    assert made(negatives="each") == [(0, "lcs", True), (1, "lcs", True)]
    assert run.count("calls") == 0
