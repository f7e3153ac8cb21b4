"""The viewer's pages say what the run holds; hostile texts stay texts; runs that can't be read are told."""

import json
import re
import sqlite3
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest

pytest.importorskip("fastapi")
from live_runs import HOME, reader
from small_run import HOSTILE, RIGHT, WORSE, passed, put_trajectory, result, task, trajectory, wrong

from iterpref.errors import ConfigError, StoreError
from iterpref.records import Attempt, DraftedProgram
from iterpref.store import SCHEMA_VERSION, PairFilter, Store, TaskFilter
from iterpref.viewer.diffs import beneath, beside
from iterpref.viewer.live import ViewSettings
from iterpref.viewer.texts import TextRoom
from iterpref.visible import MOST_SHOWN, shown

Fill = Callable[[], Store]


class Links(HTMLParser):
    """Where the links of a page lead, and what else it would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        self.loaded += [str(given[name]) for name in ("src", "data") if name in given]
        self.loaded += [str(given["href"])] if tag == "link" else []
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []


def links_of(text: str) -> Links:
    found = Links()
    found.feed(text)
    return found


def test_every_page_that_is_linked_exists_and_runs_nothing_of_its_own(fill: Fill) -> None:
    store = fill()
    asked = reader(store.folder)
    waiting, seen = ["/"], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = asked.get(path)
        assert answer.status_code == 200, path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        if "html" not in answer.headers["content-type"]:
            continue
        found = links_of(answer.text)
        assert found.inline == [] and HOSTILE not in answer.text, path
        targets = [urljoin(f"{HOME}{path}", link).split("#")[0] for link in (*found.links, *found.loaded)]
        assert all(target.startswith(HOME) for target in targets), path
        waiting += [target.removeprefix(HOME) or "/" for target in targets]
    kinds = {path.split("?")[0] for path in seen}
    assert kinds >= {"/", "/tasks", "/task", "/trajectory", "/pairs", "/pair", "/training", "/results", "/result",
                     "/sample", "/compare", "/compare/task", "/attempts"}  # fmt: skip


def test_what_a_trajectory_says(fill: Fill) -> None:
    text = reader(fill().folder).get("/trajectory?id=own/1:debugging").text
    assert "IndexError" in text and "solve([]) raised" in text
    assert re.search(r'class="line minus".*first = xs\[0\]', text)
    assert re.search(r'class="line plus".*if not xs:', text)
    assert 'href="/attempts?id=own%2F1%3Adebugging&amp;first=0&amp;second=1"' in text
    assert "The tests did not pass" not in text


def test_an_attempt_that_came_with_its_task_says_so(store: Store) -> None:
    made = trajectory("own/1", (WORSE, wrong()), (RIGHT, passed()))
    draft = DraftedProgram(program=made.attempts[0].completion, client="the teacher")
    store.put_tasks([task(1).model_copy(update={"draft": draft})])
    put_trajectory(store, made)
    text = reader(store.folder).get("/trajectory?id=own/1:debugging").text
    assert text.count("Drafted with the task by <code>the teacher</code>: no call was made for it.") == 1


def test_the_overview_counts_as_the_report_does(fill: Fill) -> None:
    store = fill()
    counted = {found.origin: found for found in store.origins()}
    assert counted["debugging"].statuses == {"passed": 3, "unresolved": 1}
    assert counted["debugging"].pass_rates == [0.25, 0.75]
    assert counted["sampling"].pass_rates == [0.25]
    assert store.count_repaired() == 2
    text = reader(store.folder).get("/").text
    assert "75.0\N{NO-BREAK SPACE}%" in text and "2 repaired" in text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TaskFilter(), ["own/1", "own/2", "own/3", "own/4", "own/5"]),
        (TaskFilter(text="OWN/4"), ["own/4"]),
        (TaskFilter(status="unresolved", origin="debugging"), ["own/4"]),
        (TaskFilter(status="unresolved"), ["own/2", "own/3", "own/4"]),
        (TaskFilter(status="passed", origin="debugging", attempts=2), ["own/1", "own/2"]),
        (TaskFilter(failure="IndexError"), ["own/1", "own/4"]),
        (TaskFilter(failure="failed", status="passed"), ["own/2"]),
        (TaskFilter(failure="IndexError", attempts=3), ["own/4"]),
        (TaskFilter(status="untried"), ["own/5"]),
        (TaskFilter(status="under way"), ["own/3"]),
        (TaskFilter(text="' OR 1 --"), []),
    ],
)
def test_filters_of_tasks(fill: Fill, wanted: TaskFilter, found: list[str]) -> None:
    store = fill()
    store.put_tasks([task(5)])
    begun = trajectory("own/3", (WORSE, wrong()), origin="import").attempts[0]
    store.put_execution("own/3:import:0", begun.execution)
    store.put_attempt("own/3:import", "own/3", begun, "own/3:import:0")
    assert store.task_page(wanted) == found
    assert store.count_listed_tasks(wanted) == len(found)
    assert store.task_page_and_count(wanted) == (found, len(found))
    assert store.task_page_and_count(wanted, 1) == ([], len(found))
    assert store.task_page(wanted, 1) == []


def test_filters_of_pairs(fill: Fill) -> None:
    store = fill()
    kept = [pair.pair_id for pair in store.pairs(kept=True)]
    every = [pair.pair_id for pair in store.pairs()]
    assert [pair.pair_id for pair in store.pair_page(PairFilter(kept=True))] == kept
    assert store.count_listed_pairs(PairFilter(failure="IndexError")) == 1
    assert store.count_listed_pairs(PairFilter(only=(every[0],))) == 1
    assert store.count_listed_pairs(PairFilter(without=(every[0],))) == len(every) - 1
    assert store.pair_neighbours(PairFilter(), every[0]) == (None, every[1])


HOSTILE_TEXTS = {
    "\x1b[31mred\x1b[0m": "⟨U+001B⟩[31mred⟨U+001B⟩[0m",
    "a\u202eb\u2066c": "a⟨U+202E⟩b⟨U+2066⟩c",
    "x\u200by\ufeff": "x⟨U+200B⟩y⟨U+FEFF⟩",
    "nul\0": "nul⟨U+0000⟩",
    "half \ud800": "half ⟨U+D800⟩",
    "tab\tand\nnewline é 中": "tab\tand\nnewline é 中",
}


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_texts_are_shown_as_what_they_are(text: str) -> None:
    assert shown(text) == HOSTILE_TEXTS[text]


def test_hostile_programs_stay_inert_on_every_page_of_theirs(store: Store) -> None:
    evil = f"x = 1  # {HOSTILE} \x1b[2J \u202e\n" + "y" * 300_000
    named = f'evil/"><script>alert(1)</script>{chr(0x202E)}'
    store.put_tasks([task(1).model_copy(update={"task_id": named, "prompt": evil})])
    put_trajectory(store, trajectory(named, (evil, wrong(got=evil)), (RIGHT, passed())))
    store.put_result(result("r", {named: False}, model=HOSTILE))
    asked = reader(store.folder)
    for path in ("/", "/tasks", "/results", "/compare", "/result?id=r"):
        text = asked.get(path).text
        assert "<script>alert" not in text and "\u202e" not in text and "\x1b" not in text, path
    for path, given in (("/task", named), ("/trajectory", f"{named}:debugging")):
        answer = asked.get(path, params={"id": given})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text and "\u202e" not in answer.text and "\x1b" not in answer.text
        assert len(answer.text) < 12 * MOST_SHOWN and "more characters" in answer.text
    assert TextRoom().text(evil)[1] == len(evil) - MOST_SHOWN


def test_an_attempt_of_an_open_trajectory_has_a_page(store: Store) -> None:
    store.put_tasks([task(1)])
    attempt = Attempt(iteration=0, program=WORSE, completion=WORSE, execution=wrong())
    store.put_execution("k", attempt.execution)
    store.put_attempt("own/1:debugging", "own/1", attempt, "k")
    text = reader(store.folder).get("/trajectory?id=own/1:debugging").text
    assert "under way" in text and "return min(xs)" in text


def test_two_runs_side_by_side(fill: Fill, tmp_path: Path) -> None:
    store = fill()
    with Store.open(tmp_path / "other") as other:
        other.put_tasks([task(1), task(4)])
        put_trajectory(other, trajectory("own/1", (WORSE, wrong())))
        put_trajectory(other, trajectory("own/4", (WORSE, wrong()), (RIGHT, passed())))
        other.put_result(result("theirs", {f"held/{i}": i % 3 == 0 for i in range(40)}))
    asked = reader(store.folder, beside=(tmp_path / "other",))
    text = asked.get("/runs").text
    assert "Of 2 tasks that both tried (4 and 2 in all), small passed 1 and other 1." in " ".join(text.split())
    assert "own/4" in text
    two = asked.get("/runs/task?task=own/4&other=1&origin=debugging").text
    assert "small: after 3 attempts" in two and "other: after 2 attempts" in two
    assert "theirs" in asked.get("/compare?first=0:base&second=1:theirs").text
    assert asked.get("/runs?other=7").status_code == 503


def test_differences_beneath_and_beside() -> None:
    before, after = "a\nb\nc\nd\ne\nf\ng\nh", "a\nB\nc\nd\ne\nf\ng\nh\ni"
    assert [(line.sign, line.text) for line in beneath(before, after)] == [
        ("", "a"), ("−", "b"), ("+", "B"), ("", "c"), ("", "d"), ("", "e"), ("", "f"), ("", "g"), ("", "h"), ("+", "i"),
    ]  # fmt: skip
    assert beneath(before, before) == []
    first, second = beside("a\nb", "a\nc")
    assert [line.sign for line in first] == ["", "−"] and [line.sign for line in second] == ["", "+"]


# --- runs that can't be shown ---


def test_a_missing_run_and_one_of_a_later_version(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run here"):
        ViewSettings(tmp_path)
    Store.open(tmp_path).close()
    asked = reader(tmp_path)
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    answer = asked.get("/tasks")
    assert answer.status_code == 503 and "upgrade iterpref" in answer.text
    (tmp_path / "run.sqlite").unlink()
    assert "no run here" in asked.get("/").text


def test_half_written_damaged_and_locked_runs(tmp_path: Path, fill: Fill) -> None:
    store = fill()
    asked = reader(store.folder)
    locked = sqlite3.connect(store.folder / "run.sqlite", isolation_level=None)
    store.close()
    locked.execute("PRAGMA journal_mode = DELETE")
    locked.execute("BEGIN EXCLUSIVE")
    answer = asked.get("/tasks")
    assert answer.status_code == 503 and "another process has locked it" in answer.text
    locked.execute("ROLLBACK")
    locked.close()
    assert asked.get("/tasks").status_code == 200
    database = store.folder / "run.sqlite"
    whole = database.read_bytes()
    database.write_bytes(whole[: len(whole) // 2])
    answer = asked.get("/tasks")
    assert answer.status_code == 503 and "not a readable run database" in answer.text
    database.write_bytes(b"")
    assert "holds no tables" in asked.get("/pairs").text


def test_what_is_not_there_and_what_is_not_understood(fill: Fill) -> None:
    store = fill()
    asked = reader(store.folder)
    name = next(store.pairs()).pair_id
    assert asked.get("/pair", params={"id": name}).status_code == 200
    store.replace_pairs([])  # deleted while it is open
    answer = asked.get("/pair", params={"id": name})
    assert answer.status_code == 404 and "not in this run (any more)" in answer.text
    assert asked.post("/pair", params={"id": name}, content="mark=accept").status_code == 404
    assert asked.get("/nowhere").status_code == 404
    assert asked.get("/tasks?page=0").status_code == 422
    assert asked.get("/tasks?attempts=abc").status_code == 200
    assert asked.get("/docs").status_code == 404  # the framework's page would load from elsewhere


def test_a_bad_mark_file_is_named(fill: Fill) -> None:
    store = fill()
    (store.folder / "reviews.jsonl").write_text(json.dumps({"pair_id": "x"}) + "\n")
    answer = reader(store.folder).get("/pairs")
    assert answer.status_code == 503 and "line 1 is no review mark" in answer.text


# --- who may read ---


def test_another_host_needs_a_token(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"host 0.0.0.0 can be reached from other machines: give a token"):
        ViewSettings(store.folder, host="0.0.0.0")


def test_only_this_machine_by_its_own_name(store: Store) -> None:
    asked = reader(store.folder)
    assert asked.get("/", headers={"Host": "127.0.0.1:8081"}).status_code == 200
    assert asked.get("/", headers={"Host": "localhost:8081"}).status_code == 200
    refused = asked.get("/", headers={"Host": "evil.example:8081"})
    assert refused.status_code == 403 and "content-security-policy" in refused.headers
    script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert asked.get("/events", headers=script).status_code == 403
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert asked.get("/", headers=clicked).status_code == 200


def test_a_token_opens_the_door_once(store: Store) -> None:
    given = {"host": "0.0.0.0", "token": "secret ü"}
    asked = reader(store.folder, **given)
    refused = asked.get("/tasks")
    assert refused.status_code == 401 and "secret" not in refused.text
    assert asked.get("/tasks?token=wrong").status_code == 401
    answer = asked.get("/tasks?q=a&token=secret ü", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks?q=a")
    assert "HttpOnly" in answer.headers["set-cookie"] and "secret" not in answer.headers["set-cookie"]
    assert asked.get("/tasks").status_code == 200  # by its cookie
    other = reader(store.folder, **given)
    assert other.get("/tasks", headers={"Authorization": b"Bearer secret"}).status_code == 401
    assert (
        other.get(f"{HOME}//evil.example/?token=secret ü", follow_redirects=False)
        .headers["location"]
        .startswith("/evil")
    )
