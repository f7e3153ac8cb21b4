"""A page stays small and inert whatever the run holds, and says what it left out."""

import sqlite3
from collections.abc import Callable
from html import unescape
from pathlib import Path

from small_run import HOSTILE, RIGHT, WRONG, put_trajectory, raised, result, task, trajectory, wrong

from iterpref.analysis import Entrant, compare_all
from iterpref.records import FilterVerdict, PreferencePair, Result, Span
from iterpref.store import Store
from iterpref.viewer.comparison import PAGE_BEGINS, write_page
from iterpref.viewer.diffs import sides_of
from iterpref.viewer.names import model_labels
from iterpref.viewer.report import render_report
from iterpref.viewer.texts import DiffLine, TextRoom

MOST = 2_000_000
LARGE = f"{HOSTILE} \x1b[2J \u202e" + "\x07<&" * 1_700_000  # 5 MB, of what becomes longest as HTML
TASKS, COPIED = 20_000, 100
LONG = LARGE[:50_000]
TEXTS = [LARGE, "\n".join(f"x{i} = {i}" for i in range(300_000)), *([LONG] * 6)]


def copy_tasks(store: Store) -> None:
    """`COPIED` tasks with their trajectories, again and again under other ids."""
    store._connection.commit()
    with sqlite3.connect(store.folder / "run.sqlite") as connection:
        for table in ("tasks", "executions", "attempts", "trajectories"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            renamed = ", ".join(
                name if name == "iteration" else f"replace({name}, 'many/', 'many' || c.x || '/')" for name in columns
            )
            numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?)"
            chosen = f"{table}, c WHERE {columns[0]} LIKE 'many/%'"
            connection.execute(f"INSERT INTO {table} {numbers} SELECT {renamed} FROM {chosen}", (TASKS // COPIED - 1,))
    connection.close()


def large_pair(number: int, text: str) -> PreferencePair:
    return PreferencePair(
        pair_id=f"large/{number}#0-1", task_id=f"large/{number}", prompt=text, chosen=f"{text}\n{RIGHT}", rejected=text,
        chosen_spans=(Span(start=0, stop=9),), rejected_spans=(Span(start=0, stop=len(text)),), diff="lcs",
        diff_version=1, render_template="", trajectory_id=f"large/{number}:debugging", chosen_iteration=1,
        rejected_iteration=0, error_type=f"Error{number}{text}",
        filters=(FilterVerdict(name="large", kept=number < 6, reason=f"{number}{text}"),),
    )  # fmt: skip


def large_result(name: str, solved: Callable[[int], bool]) -> Result:
    """2,000 tasks, of which the first three have large programs."""
    made = result(name, {f"held/{i}": solved(i) for i in range(2_000)}, model=f"local:{HOSTILE}{name}:{'0' * 12}")
    large = [sample.model_copy(update={"program": f"{LARGE}{name}", "completion": LONG}) for sample in made.samples[:3]]
    return made.model_copy(update={"samples": (*large, *made.samples[3:]), "protocol": LONG})


def fill_large(store: Store) -> None:
    ids = [f"many/{i}" for i in range(COPIED)]
    store.put_tasks(task(1).model_copy(update={"task_id": name}) for name in ids)
    for name in ids:
        put_trajectory(store, trajectory(name, (WRONG, raised())))
    copy_tasks(store)
    loud = wrong(got=LONG).model_copy(update={"error": LONG, "stdout": LONG, "warnings": (LONG,)})
    for i, text in enumerate(TEXTS):
        store.put_tasks([task(1, prompt=text).model_copy(update={"task_id": f"large/{i}"})])
        put_trajectory(store, trajectory(f"large/{i}", *((f"{text}{n}", loud) for n in range(2 if i < 2 else 9))))
    store.replace_pairs(large_pair(i, text) for i, text in enumerate(TEXTS))
    store.put_result(large_result("base", lambda i: i % 2 == 0))
    store.put_result(large_result("trained", lambda i: i % 2 == 1))
    store.put_note("settings:debug", [{"settings": {}, "changed": {f"key.{i}": LONG[:9_000] for i in range(200)}}] * 50)
    store.put_note(f"import:{LONG}", {})
    (store.folder / "config.yaml").write_text("# " + "y" * 5_000_000, encoding="utf-8")


def check(page: str) -> None:
    assert len(page.encode()) < MOST
    assert not {"\x1b", "\u202e", "\x07"} & set(page)
    assert "<script" not in page and "<img" not in page
    assert "more characters" in page
    assert "texts on this page are cut, so that it stays small" in page


def test_a_report_of_twenty_thousand_tasks_and_large_texts(store: Store, tmp_path: Path) -> None:
    fill_large(store)
    page = render_report(store)
    check(page)
    assert "20,008 tasks were tried, and no program passed" in page
    assert "⟨U+001B⟩[2J ⟨U+202E⟩" in page and HOSTILE in unescape(page)
    assert "And 980 more: " in page  # of 1,000 tasks won
    assert "5 of 6 kept pairs" in page
    results = list(store.results())
    entrants = [Entrant(name=made.model, results={made.benchmark: made}) for made in results]
    write_page(compare_all(entrants), entrants, tmp_path / "compared.html")
    compared = (tmp_path / "compared.html").read_text(encoding="utf-8")
    assert compared.startswith(PAGE_BEGINS)
    check(compared)
    assert "And 900 more: " in compared


def test_room_counts_what_it_cuts() -> None:
    room = TextRoom(most=10, lines=3, page=700)
    assert room.text("a<b") == ("a&lt;b", 0)
    assert room.text("0123456789abc") == ("0123456789", 3)
    lines, left = room.code([DiffLine("−", "abcd", ((1, 3),)), *[DiffLine("", f"line {i}") for i in range(5)]])
    assert lines[0].pieces == (("a", False), ("bc", True), ("d", False))
    assert [("".join(piece for piece, _ in line.pieces), line.left) for line in lines] == [("abcd", 0), ("line ", 1)]
    assert left == 4 and room.left_out == 2
    assert room.text("\x07" * 10)[1] == 0 and room.word("a name") == "a name"
    page = room.page
    assert page is not None and 0 < page < 500
    room.page = 25
    assert room.text("\x07" * 10) == ("", 10)  # 80 bytes as HTML
    assert room.word("x" * 30) == "x" * 20 + "…"
    assert room.left_out == 4


def test_a_long_program_is_compared_as_far_as_it_is_shown() -> None:
    before, after = (f"{TEXTS[1]}{end}" for end in ("a", "b"))
    whole = Span(start=0, stop=len(before))
    rejected, chosen = sides_of(before, after, [whole], [])
    left = len(before) - len("\n".join(TEXTS[1].split("\n")[:4_000]))
    assert len(rejected) == 4_001 and rejected[-1] == DiffLine("…", f"{left:,} more characters")
    assert {line.sign for line in rejected[:-1]} == {"−"} and {line.sign for line in chosen[:-1]} == {""}


def test_names_that_people_can_read() -> None:
    one, other = "0" * 12, "1" * 12
    assert model_labels([f"local:coder:{one}", "openai:gpt-4o@api.openai.com/v1", f"samples:a.jsonl:{one}", "own"]) == {
        f"local:coder:{one}": "coder",
        "openai:gpt-4o@api.openai.com/v1": "gpt-4o",
        f"samples:a.jsonl:{one}": "a.jsonl",
        "own": "own",
    }
    assert model_labels([f"local:model:{one}", f"local:model:{other}"]) == {
        f"local:model:{one}": "model (000000)",
        f"local:model:{other}": "model (111111)",
    }
    both = f"local:a:{one} + openai:q:7b@localhost:11434/v1"
    assert model_labels([both]) == {both: "a + q:7b"}
    assert model_labels([f"runs/0f3c local:a:{one}"]) == {f"runs/0f3c local:a:{one}": "runs/0f3c a"}
