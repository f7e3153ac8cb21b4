import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from test_pair import FAILED, PASSED, RIGHT, TASK, WORSE, WRONG, trajectory

from iterpref.clients import Completion, Ledger, Request
from iterpref.clients.replay import ReplayClient
from iterpref.config import PairingConfig
from iterpref.errors import RecordError
from iterpref.pairing.decontamination import Benchmarks
from iterpref.pairing.judge_pairs import _question, judge_pairs
from iterpref.pairing.near_duplicates import NearDuplicates
from iterpref.pairing.pair import make_pairs
from iterpref.pairing.quality import QualityFilters, program_hash
from iterpref.programs import fenced
from iterpref.records import Message, PreferencePair, TestQuality
from iterpref.store import Store

LONG = "def area(points):\n    total = 0\n    for (x, y), (u, v) in zip(points, points[1:]):\n        total += x * v - u * y\n    return abs(total) / 2"  # noqa: E501


def made(chosen: str = RIGHT, rejected: str = WRONG, name: str = "p", **values: object) -> PreferencePair:
    fields = {"prompt": "Double x.", "chosen_spans": (), "rejected_spans": (), "task_id": "t/1", **values}
    return PreferencePair(
        pair_id=name, chosen=fenced(chosen), rejected=fenced(rejected), diff="lcs", diff_version=1,
        render_template="fenced_python", **fields,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        opened.put_tasks([TASK])
        yield opened


def judged(store: Store, pair: PreferencePair, **settings: object) -> dict[str, tuple[bool, str]]:
    filtered = QualityFilters(store, PairingConfig(**settings)).check(pair)  # type: ignore[arg-type]
    return {verdict.name: (verdict.kept, verdict.reason) for verdict in filtered.filters}


def quality(**values: object) -> TestQuality:
    fields = {
        "repeats": 3, "repeats_passed": 3, "mutants": 10, "mutants_killed": 7, "line_coverage": 1.0,
        "branch_coverage": 0.5, **values,
    }  # fmt: skip
    return TestQuality(task_id="t/1", tests_hash="h", program_hash=program_hash(RIGHT), **fields)  # type: ignore[arg-type]


NO_LINES = {"line_coverage": None, "unmeasured": {"line_coverage": "not seen"}}
NOT_SEEN = "line coverage not measured: not seen"


@pytest.mark.parametrize(
    ("values", "settings", "verdict"),
    [
        pytest.param({}, {}, (True, ""), id="measured, no threshold"),
        pytest.param({}, {"min_branch_coverage": 0.5, "min_mutation_score": 0.7}, (True, ""), id="just enough"),
        pytest.param({}, {"min_mutation_score": 0.8}, (False, "mutation score below 0.8"), id="too few faults noticed"),
        pytest.param(NO_LINES, {"min_line_coverage": 0.1}, (True, NOT_SEEN), id="not measurable"),
        pytest.param(
            {"line_coverage": None},
            {"min_line_coverage": 0.1},
            (True, "line coverage not measured: no reason stored"),
            id="not measurable, without a reason",
        ),
        pytest.param(
            NO_LINES, {"min_line_coverage": 0.1, "unmeasured": "drop"}, (False, NOT_SEEN), id="not measurable, dropped"
        ),
        pytest.param(
            {"mutants": 0, "mutants_killed": 0, "unmeasured": {"mutation_score": "no fault can be planted"}},
            {"min_mutation_score": 0.8},
            (True, "mutation score not measured: no fault can be planted"),
            id="no mutant",
        ),
        pytest.param(
            {"unmeasured": {"passing_stubs": "sandbox_error"}},
            {"unmeasured": "drop"},
            (False, "passing stubs not measured: sandbox_error"),
            id="stubs not tried",
        ),
        pytest.param(NO_LINES, {"unmeasured": "drop"}, (True, ""), id="not measurable, not asked for"),
        pytest.param({"repeats_passed": 0}, {}, (False, "the chosen program no longer passes"), id="never passes"),
        pytest.param(
            {"repeats_passed": 2}, {}, (False, "the chosen program passes only sometimes"), id="flaky is never kept"
        ),
        pytest.param(
            {"passing_stubs": ("empty",)}, {}, (False, "a trivially wrong program passes (empty)"), id="empty tests"
        ),
    ],
)
def test_defect_2_thresholds_on_tests_and_what_was_not_measured(
    store: Store, values: dict, settings: dict, verdict: tuple[bool, str]
) -> None:
    store.put_quality(quality(**values))
    assert judged(store, made(), **settings) == {"tests": verdict}


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        pytest.param({"failing": True, "repeats_passed": 0}, True, id="fails every time"),
        pytest.param({"failing": True, "repeats_passed": 1}, False, id="passes at times"),
        pytest.param({"repeats_passed": 3}, False, id="passed in another trajectory"),
    ],
)
def test_a_rejected_program_must_fail_every_time(store: Store, values: dict, kept: bool) -> None:
    measured = quality(**{"mutants": 0, "mutants_killed": 0, **values})
    store.put_quality(measured.model_copy(update={"program_hash": program_hash(WRONG)}))
    expected = {} if kept else {"tests": (False, "the rejected program passes at times")}
    assert judged(store, made()) == expected


def test_a_chosen_program_must_pass_the_stronger_tests(store: Store) -> None:
    store.put_quality(quality(stronger=False))
    assert judged(store, made()) == {"tests": (False, "the chosen program fails the stronger tests")}
    store.put_quality(quality(stronger=True))
    assert judged(store, made()) == {"tests": (True, "")}


def test_unmeasured_tests(store: Store) -> None:
    assert judged(store, made()) == {}
    said = (False, "its tests were not measured; run iterpref validate")
    assert judged(store, made(), min_mutation_score=0.1) == {"tests": said}
    assert judged(store, made(origin="import"), min_mutation_score=0.1) == {}


def test_the_judge_is_asked_once_and_read_for_ever(store: Store, tmp_path: Path) -> None:
    renamed = "def f(y):\n    z = y + 1\n    return z"
    logical, cosmetic, silent = made(name="a"), made(WRONG, renamed, "b"), made(WORSE, RIGHT, "c")
    replies = {
        logical: 'It multiplies now.\n{"logical": true, "reason": "another value"}',
        cosmetic: 'Think {x}.\n```json\n{"logical": false, "reason": "names only"}\n```',
        silent: "I can't say.",
    }
    lines = [
        {"messages": [m.model_dump() for m in _question(asked)], "completions": [reply]}
        for asked, reply in replies.items()
    ]
    recording = tmp_path / "judge.jsonl"
    recording.write_text("\n".join(map(json.dumps, lines)))

    class Counted(ReplayClient):
        asked = 0

        async def complete(self, request: Request) -> Completion:
            self.asked += 1
            return await super().complete(request)

    client = Counted(recording)
    progress = asyncio.run(judge_pairs(replies, Ledger(client, store), store))
    assert (progress.judged, progress.cosmetic, progress.without_answer) == (2, 1, 1)
    asyncio.run(judge_pairs(replies, Ledger(client, store), store))
    assert client.asked == 3
    assert judged(store, logical) == {"judge": (True, "")}
    assert judged(store, cosmetic) == {"judge": (False, "the judge calls the difference cosmetic: names only")}
    assert judged(store, silent) == {}
    assert judged(store, silent, require_judge=True) == {"judge": (False, "not judged; run iterpref judge")}


def test_near_duplicates_within_and_across_runs(store: Store, tmp_path: Path) -> None:
    first = made(LONG, LONG.replace("abs", "int"), "first")
    near = made(LONG + "\n# done", LONG.replace("abs", "int"), "near")
    other = made(RIGHT, WRONG, "other")
    filters = QualityFilters(store, PairingConfig(near_duplicates=0.8))
    kept = [filters.check(p) for p in (first, near, other)]
    assert [p.kept for p in kept] == [True, False, True]
    assert kept[1].filters[-1].reason == "nearly the same as first"
    with Store.open(tmp_path / "earlier") as earlier:
        earlier.replace_pairs([first])
    verdict = judged(store, near, near_duplicates=0.8, other_runs=[str(tmp_path / "earlier")])["near_duplicate"]
    assert verdict == (False, "nearly the same as earlier:first")


def test_a_dropped_pair_takes_no_other_with_it(store: Store) -> None:
    filters = QualityFilters(store, PairingConfig(near_duplicates=0.9, require_judge=False))
    from iterpref.records import FilterVerdict

    dropped = made(name="dropped", filters=(FilterVerdict(name="x", kept=False),))
    assert not filters.check(dropped).kept
    assert filters.check(made(name="same")).kept


def test_similarity_is_estimated_well() -> None:
    """Against the exact Jaccard index of shingle sets: 40 of 44 in common is above 0.85, below 0.99."""
    words = [f"w{i}" for i in range(48)]
    seen, strict = NearDuplicates(0.7), NearDuplicates(0.97)
    before, after = "\n".join(words), "\n".join([*words[:-2], "a", "b"])
    for index in (seen, strict):
        assert index.first_like(made(before, before)) is None
    assert seen.first_like(made(after, before, "q")) == "p"
    assert strict.first_like(made(after, before, "q")) is None


BENCHMARK = [
    {"task_id": "B/0", "prompt": "Compute the area of a polygon given its corners in order of appearance",
     "canonical_solution": LONG},
    {"task_id": "B/1", "prompt": "Please write one small function in Python that doubles a number and nothing else",
     "canonical_solution": "return x"},
    *({"task_id": f"B/{i}", "prompt": f"please write one small function in python that does thing {i}"}
      for i in range(2, 6)),
]  # fmt: skip


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    path = tmp_path / "b.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(map(json.dumps, BENCHMARK)))
    return path


@pytest.mark.parametrize(
    ("fields", "hits"),
    [
        pytest.param({"prompt": "COMPUTE the area, of a polygon given its corners!"}, ["B/0"], id="eight words"),
        pytest.param({"prompt": "Compute the area of a polygon given"}, [], id="seven words"),
        pytest.param({"prompt": "Please write one small function in Python that is new"}, [], id="a phrase"),
        pytest.param({"chosen": LONG.replace("total", "total")}, ["B/0"], id="the solution itself"),
        pytest.param({"chosen": LONG.replace("area", "shoelace") + "\n\nprint(1)"}, ["B/0"], id="renamed function"),
        pytest.param({"chosen": "for (x, y), (u, v) in zip(points, points[1:]):\n    pass"}, [], id="one line of it"),
        pytest.param({"rejected": LONG}, [], id="only chosen counts"),
    ],
)
def test_closeness_to_a_benchmark(benchmark: Path, fields: dict, hits: list[str]) -> None:
    assert Benchmarks([benchmark]).hits(made(**fields)) == hits


def test_hits_are_dropped_and_imports_flagged(store: Store, benchmark: Path) -> None:
    close = made(LONG)
    assert judged(store, close, benchmarks=[str(benchmark)])["contamination"] == (False, "close to B/0")
    imported = close.model_copy(update={"origin": "import"})
    assert judged(store, imported, benchmarks=[str(benchmark)])["contamination"] == (True, "close to B/0")
    own = close.model_copy(update={"task_id": "B/0~1234"})
    assert judged(store, own, benchmarks=[str(benchmark)])["contamination"] == (True, "close to B/0")


def test_a_file_that_is_no_benchmark(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(RecordError, match="no prompts found"):
        Benchmarks([tmp_path / "x.jsonl"])
    (tmp_path / "y.jsonl").write_text("not json")
    with pytest.raises(RecordError, match=r"y\.jsonl: not a benchmark in JSONL"):
        Benchmarks([tmp_path / "y.jsonl"])
    with pytest.raises(RecordError, match=r"check pairing\.benchmarks"):
        Benchmarks([tmp_path / "absent.jsonl"])


def test_pairs_of_sampling_runs(store: Store) -> None:
    for name, execution in (("passed", PASSED), ("failed", FAILED)):
        store.put_execution(name, execution)
    for origin in ("debugging", "sampling"):
        run = trajectory(WRONG, WORSE, RIGHT, passing=2, origin=origin)
        for attempt in run.attempts:
            store.put_attempt(run.trajectory_id, "t/1", attempt, attempt.execution.verdict)
        store.put_trajectory(run)
    sampled = list(make_pairs(store, PairingConfig(source="sampling", negatives="each")))
    assert [(p.origin, p.rejected_iteration) for p in sampled] == [("sampling", 0), ("sampling", 1)]
    assert {p.origin for p in make_pairs(store, PairingConfig(negatives="each"))} == {"debugging"}


def test_shares_are_shares() -> None:
    with pytest.raises(ValidationError):
        PairingConfig(min_mutation_score=1.5)


def test_the_message_is_one_turn() -> None:
    [message] = _question(made())
    assert isinstance(message, Message)
    assert "def f(x):\n    y = x * 2" in message.content
