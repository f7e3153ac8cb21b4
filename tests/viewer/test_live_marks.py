"""Review marks: kept in the run, whoever else writes there, and what `iterpref pair --reviewed` makes of them."""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from live_runs import HOME, reader

from iterpref.config import PairingConfig
from iterpref.errors import StoreError
from iterpref.pairing import make_pairs
from iterpref.records import ReviewMark
from iterpref.store import Store, add_mark, read_marks

Fill = Callable[[], Store]


def reviewed(store: Store, reviewed: str) -> dict[str, bool]:
    settings = PairingConfig(negatives="each", reviewed=reviewed)  # type: ignore[arg-type]
    return {pair.pair_id: pair.kept for pair in make_pairs(store, settings)}


def test_marks_survive_a_restart_and_decide_what_is_kept(fill: Fill) -> None:
    store = fill()  # which stays open for writing meanwhile
    first, second = [pair.pair_id for pair in store.pairs(kept=True)][:2]
    asked = reader(store.folder)
    answer = asked.post(
        "/pair", params={"id": first}, content="mark=reject&note=ambiguous+%3Ctask%3E", headers={"Origin": HOME}
    )
    assert answer.status_code == 200 and "ambiguous &lt;task&gt;" in answer.text
    asked.post("/pair", params={"id": second}, content="mark=accept")
    again = reader(store.folder)
    assert 'value="reject" data-press="r" aria-pressed="true"' in again.get("/pair", params={"id": first}).text
    assert first.split("#")[0] in again.get("/pairs?mark=reject").text
    assert "1 accepted, 1 rejected by people" in again.get("/").text
    everything = reviewed(store, "ignore")
    assert reviewed(store, "not_rejected") == everything | {first: False}
    assert reviewed(store, "accepted") == {name: name == second for name in everything}
    again.post("/pair", params={"id": first}, content="mark=&note=")
    assert reviewed(store, "not_rejected") == everything


def test_a_mark_is_about_the_pair_that_was_looked_at(fill: Fill) -> None:
    store = fill()
    pair = next(store.pairs(kept=True))
    asked = reader(store.folder)
    stale = asked.post("/pair", params={"id": pair.pair_id}, content="mark=reject&content_hash=other")
    assert stale.status_code == 409 and read_marks(store.folder) == {}
    add_mark(store.folder, ReviewMark(pair_id=pair.pair_id, content_hash="other", mark="reject"))
    assert reviewed(store, "not_rejected")[pair.pair_id]
    assert "given to an earlier version" in asked.get("/pair", params={"id": pair.pair_id}).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({"Origin": HOME}, 200),
    ],
)
def test_no_other_page_can_mark(fill: Fill, headers: dict[str, str], status: int) -> None:
    store = fill()
    name = next(store.pairs(kept=True)).pair_id
    answer = reader(store.folder).post("/pair", params={"id": name}, content="mark=reject", headers=headers)
    assert answer.status_code == status
    assert bool(read_marks(store.folder)) == (status == 200)


def test_odd_marks_are_refused(fill: Fill) -> None:
    store = fill()
    asked = reader(store.folder)
    name = {"id": next(store.pairs()).pair_id}
    assert asked.post("/pair", params=name, content="mark=perhaps").status_code == 422
    assert asked.post("/pair", params=name, content=f"note={'x' * 70_000}").status_code == 413
    assert asked.post("/tasks", content="").status_code == 405
    assert not (store.folder / "reviews.jsonl").exists()


def test_a_line_that_was_cut_short_is_forgotten(tmp_path: Path) -> None:
    one = ReviewMark(pair_id="a", content_hash="h", mark="accept")
    add_mark(tmp_path, one)
    with (tmp_path / "reviews.jsonl").open("ab") as file:
        file.write(b'{"pair_id": "b", "conte')
    assert read_marks(tmp_path) == {"a": one}
    two = ReviewMark(pair_id="c", content_hash="h", mark="reject", note="half \ud800")
    add_mark(tmp_path, two)
    assert read_marks(tmp_path) == {"a": one, "c": two}
    with pytest.raises(StoreError, match="can't keep the mark"):
        add_mark(tmp_path / "nowhere", one)


def _mark_many(folder: Path, name: str) -> None:
    for number in range(50):
        add_mark(folder, ReviewMark(pair_id=f"{name}{number}", content_hash="h", mark="accept", note="n" * 5000))


def test_several_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_mark_many, args=(tmp_path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(read_marks(tmp_path)) == 100


def test_the_command_uses_marks_and_says_when_it_does_not(fill: Fill) -> None:
    store = fill()
    pair = next(store.pairs(kept=True))
    kept = store.count_kept_pairs()
    store.close()
    add_mark(store.folder, ReviewMark(pair_id=pair.pair_id, content_hash=pair.content_hash, mark="reject"))
    command = [sys.executable, "-m", "iterpref", "pair", "--run", str(store.folder), "--set", "pairing.negatives=each"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"kept: {kept}" in plain.stdout and "were not used; --reviewed uses them" in plain.stdout
    used = subprocess.run([*command, "--reviewed"], capture_output=True, text=True, check=True)
    assert f"kept: {kept - 1}" in used.stdout and "rejected in review" in used.stdout
