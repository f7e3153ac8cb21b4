"""`iterpref review`: a sheet for a person, and what was filled in read back."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.pairing import judgement_key
from iterpref.statistics import wilson
from iterpref.store import Store, read_marks

Fill = Callable[[], Store]
Rows = list[dict[str, str]]


@pytest.fixture
def folder(fill: Fill) -> Path:
    """A run with three kept pairs, closed."""
    with fill() as store:
        pairs = list(store.pairs(kept=True))
        third = pairs[0].model_copy(update={"pair_id": "third#0", "chosen": f"{pairs[0].chosen}\n"})
        store.replace_pairs([*pairs, third])
        return store.folder


def review(folder: Path, *words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["review", "--run", str(folder), *words, "--json"], catch_exceptions=True)
    if done.exception is not None:
        raise done.exception
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(table: Path) -> Rows:
    with table.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(table: Path, made: Rows, delimiter: str = ",") -> None:
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(made[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(made)


def sheet(folder: Path) -> tuple[Path, Rows]:
    table = Path(str(review(folder, "--sample", "100")["fill_in"]))
    return table, rows(table)


def test_a_sheet_holds_pairs_by_number(folder: Path) -> None:
    with Store.open(folder, write=False) as store:
        kept = {pair.pair_id: pair for pair in store.pairs(kept=True)}
    told = review(folder, "--sample", "100")
    assert (told["pairs"], told["of_kept"]) == (len(kept), len(kept))
    made, page = rows(Path(str(told["fill_in"]))), Path(str(told["read"])).read_text(encoding="utf-8")
    assert {row["pair_id"]: row["content_hash"] for row in made} == {n: p.content_hash for n, p in kept.items()}
    assert [row["number"] for row in made] == [str(number) for number in range(1, len(kept) + 1)]
    assert [row["mark"] for row in made] == [""] * len(kept)
    assert page.count('<section class="example"') == len(kept)
    assert "<script" not in page, "what a program says stays text"
    assert "IndexError: list index out of range" in page


def test_a_seed_draws_the_same_pairs(folder: Path) -> None:
    drawn = [
        rows(Path(str(review(folder, "--sample", "1", "--seed", str(s))["fill_in"]))) for s in (1, 1, *range(2, 9))
    ]
    assert drawn[0] == drawn[1]
    assert len({made[0]["pair_id"] for made in drawn}) > 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_was_filled_in_becomes_marks_once(folder: Path, delimiter: str) -> None:
    table, made = sheet(folder)
    made[0] |= {"mark": " Accept ", "note": "fine; really, ä"}
    made[1] |= {"mark": "reject"}
    fill_in(table, made, delimiter)
    assert review(folder, "--read", str(table))["new"] == 2
    marks = read_marks(folder)
    assert {(m.pair_id, m.mark, m.note) for m in marks.values()} == {
        (made[0]["pair_id"], "accept", "fine; really, ä"), (made[1]["pair_id"], "reject", "")}  # fmt: skip
    before = (folder / "reviews.jsonl").read_bytes()
    assert review(folder, "--read", str(table))["new"] == 0
    assert (folder / "reviews.jsonl").read_bytes() == before
    assert [row["mark"] for row in sheet(folder)[1]][:2] == ["accept", "reject"], "a sheet drawn anew has them"


def test_a_row_that_stands_there_twice_counts_once(folder: Path) -> None:
    table, made = sheet(folder)
    made[0] |= {"mark": "accept"}
    made[1] |= {"mark": "reject"}
    fill_in(table, [*made, made[0]])
    told = review(folder, "--read", str(table))
    assert (told["marks"], told["new"], told["empty_rows"]) == (2, 2, len(made) - 2)
    assert told["accepted"]["of"] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"mark": "ok"}, r"line 2: mark is 'ok', expected accept, reject or nothing", id="word"),
        pytest.param({"mark": "accept", "pair_id": "x#1"}, r"line 2: the run has no pair 'x#1'", id="pair"),
        pytest.param({"mark": "accept", "content_hash": "1.2E+23"},
                     r"line 2: pair .* content_hash '1.2E\+23', in the run '\w+': it was made anew", id="changed"),
    ],
)  # fmt: skip
def test_a_row_that_can_not_be_used_keeps_nothing(folder: Path, change: dict[str, str], said: str) -> None:
    table, made = sheet(folder)
    made[0] |= change
    made[1] |= {"mark": "accept"}
    fill_in(table, made)
    with pytest.raises(Exception, match=said) as caught:
        review(folder, "--read", str(table))
    assert "Nothing was kept" in str(caught.value)
    assert read_marks(folder) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"a,b\n1,2\n", "without the column mark", id="columns"),
        pytest.param("mark,note\nä".encode("latin-1"), "not text in UTF-8", id="encoding"),
        pytest.param(b"", "without the column mark", id="empty"),
        pytest.param(b"mark,note,pair_id,content_hash,mark\n", "has the column mark twice", id="two columns"),
    ],
)
def test_a_file_that_is_no_sheet(folder: Path, content: bytes, said: str) -> None:
    (folder / "other.csv").write_bytes(content)
    with pytest.raises(Exception, match=said):
        review(folder, "--read", str(folder / "other.csv"))
    with pytest.raises(Exception, match="can't read this table"):
        review(folder, "--read", str(folder / "none.csv"))
    with pytest.raises(Exception, match="give either --sample 100"):
        review(folder)


def test_marks_that_were_not_read_are_not_written_over(folder: Path) -> None:
    table, made = sheet(folder)
    made[2] |= {"note": "look again"}
    fill_in(table, made)
    with pytest.raises(Exception, match=r"1 of its marks and notes are not in the run yet, the first in row 4"):
        sheet(folder)
    review(folder, "--read", str(table))
    assert sheet(folder)[1][2]["note"] == "look again"


def test_agreement_with_the_judge(folder: Path) -> None:
    with Store.open(folder) as store:
        first, second, third = store.pairs(kept=True)
        store.put_judgement(judgement_key(first), True, "")
        store.put_judgement(judgement_key(second), False, "")
    table, made = sheet(folder)
    for row in made:
        row["mark"] = "reject" if row["pair_id"] == third.pair_id else "accept"
    fill_in(table, made)
    told = review(folder, "--read", str(table))
    low, high = wilson(1, 2)
    assert told["accepted"] == {"count": 2, "of": 3, "share": 0.6667} | dict(
        zip(("low", "high"), (round(end, 4) for end in wilson(2, 3)), strict=True))  # fmt: skip
    assert told["agreeing"] == {"count": 1, "of": 2, "share": 0.5, "low": round(low, 4), "high": round(high, 4)}
    assert (told["accepted_but_cosmetic"], told["rejected_but_logical"]) == (1, 0)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (97, 100), (1, 1), (333, 1000)])
def test_the_interval_is_wilsons(successes: int, trials: int) -> None:
    expected = proportion_confint(successes, trials, method="wilson")
    assert wilson(successes, trials) == pytest.approx(expected, abs=1e-12)
