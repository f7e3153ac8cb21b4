import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_run import HOSTILE, RIGHT, passed, put_trajectory, raised, result, task, trajectory

from iterpref.records import Span
from iterpref.store import Store
from iterpref.viewer.debugging_facts import debugging_facts
from iterpref.viewer.diffs import signed
from iterpref.viewer.numbers import amount, duration, how_many, p_value, percent, points
from iterpref.viewer.pair_facts import PairFacts
from iterpref.viewer.report import render_report, write_report

VOID = {"meta", "br", "line", "circle", "polyline"}
SEPARATE = {"th", "td", "dt", "dd", "strong"}  # a reader sees them apart, without a space in the text


class Page(HTMLParser):
    """The page as a browser sees it: tags, attributes, text by section; fails on tags that don't nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self.marked: dict[str, list[str]] = {"minus": [], "plus": []}  # whole lines with a sign
        self.words: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(html)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in values.items()]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in VOID:
            self._open.append((tag, values.get("class", "")))
        if values.get("class", "") in ("line minus", "line plus"):
            self.marked[values["class"].split()[1]].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        assert tag in VOID, f"<{tag}/>"

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1][0] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()
        self.text += " " if tag in SEPARATE else ""

    def handle_data(self, data: str) -> None:
        if any(tag == "style" for tag, _ in self._open):
            return
        self.text += data
        line = next((kind for _, kind in self._open if kind in ("line minus", "line plus")), "")
        if line and not any(tag == "i" or kind == "hidden" for tag, kind in self._open):
            self.marked[line.split()[1]][-1] += data.rstrip("\n")
        if self._open and self._open[-1][0] == "mark":
            self.words.append(data)


@pytest.fixture
def page(fill: Callable[[], Store]) -> Page:
    return Page(render_report(fill()))


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_headline_numbers(page: Page) -> None:
    text = flat(page.text)
    assert "25.0 % → 72.5 %" in text  # 10 and 29 of 40: 20 won, 1 lost
    assert "+47.5 points" in text
    assert "20 won, 1 lost" in text
    assert "exact McNemar p 2.1 × 10⁻⁵" in text  # 2 * (1 + 21) / 2**21
    assert "3 min 14 s" in text


def test_debugging_beside_sampling(page: Page) -> None:
    text = flat(page.text)
    assert (
        "debugging solves 75.0 % of the tasks and independent sampling 25.0 %: +50.0 points" in text
    )  # 3 of 4 against 1 of 4
    assert "debugging75.0 %" in text and "sampling25.0 %" in text  # labels in the chart
    assert "4 trajectories of debugging, 4 of sampling" in text


def test_only_changed_lines_are_marked(page: Page) -> None:
    assert "    first = xs[0]" in page.marked["minus"]
    assert "    if not xs:" in page.marked["plus"] and "        return 0" in page.marked["plus"]
    assert not [line for lines in page.marked.values() for line in lines if "def solve" in line or "```" in line]


def test_feedback_of_the_rejected_program_is_shown(page: Page) -> None:
    assert "solve([]) raised IndexError: list index out of range" in page.text


def test_charts_and_errors_are_there(page: Page) -> None:
    charts = [value for tag, name, value in page.attributes if tag == "svg" and name == "role"]
    assert charts == ["img"] * (1 + 5 + 3)  # pass rates; sizes of differences; loss, margins, chosen reward
    assert re.search(r"IndexError 1 2 1", page.text)
    assert re.search(r"wrong output 2 3 –", page.text)


def test_hostile_text_stays_text(page: Page) -> None:
    assert HOSTILE in page.text  # the prompt, readable as it is
    assert "script" not in page.tags and "img" not in page.tags
    assert not [a for a in page.attributes if a[1].startswith("on")]


def test_page_asks_for_nothing_outside(page: Page) -> None:
    links = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert links and all(link.startswith("#") and link[1:] in page.ids for link in links)
    assert len(page.ids) == len(set(page.ids))
    assert "link" not in page.tags and "url(" not in page.text


def test_headings_and_images_can_be_read_aloud(page: Page) -> None:
    assert page.tags.count("h1") == 1
    labels = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    silent = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-hidden"]
    assert silent == ["true"] * 6  # bars of the funnel, whose numbers stand beside them
    assert len(labels) + len(silent) == page.tags.count("svg") and all(labels)
    assert ("html", "lang", "en") in page.attributes
    assert "wrong line: " in page.text and "new line: " in page.text  # not by colour alone


def test_same_run_same_page_from_a_read_only_store(fill: Callable[[], Store], tmp_path: Path) -> None:
    folder = fill().folder
    with Store.open(folder, write=False) as reader:
        path = write_report(reader)
        first = path.read_bytes()
        assert write_report(reader).read_bytes() == first
    assert path == folder / "report.html" and not list(folder.glob("*.partial"))


def test_empty_run_says_what_is_missing(store: Store) -> None:
    text = flat(Page(render_report(store)).text)
    for sentence in (
        "No benchmark has two results yet",
        "No trajectories yet",
        "No pairs yet",
        "No kept pairs to show",
        "No training yet: model/training_log.json is not there",
        "Nothing evaluated yet",
        "No program was executed",
        "No config.yaml",
    ):
        assert sentence in text


def test_missing_isolation_is_loud(store: Store) -> None:
    warning = "no namespaces: resource limits only"
    put_trajectory(store, trajectory("own/1", (RIGHT, passed("rlimits", (warning,)))))
    html = render_report(store)
    assert 'role="alert"' in html
    text = flat(Page(html).text)
    assert "Programs ran without isolation 1 of 1 executions" in text
    assert f"{warning} (1 executions)" in text


def test_isolated_run_raises_no_alarm(fill: Callable[[], Store]) -> None:
    assert 'role="alert"' not in render_report(fill())


@pytest.mark.parametrize(("benchmark", "said"), [("playground", True), ("own.jsonl", False)])
def test_playground_numbers_come_with_their_warning(store: Store, benchmark: str, said: bool) -> None:
    store.put_result(result("base", {"a": True, "b": False}, benchmark=benchmark))
    text = Page(render_report(store)).text
    assert ("they do not show that the method wins on real models" in text) == said


def test_results_that_cannot_be_compared_say_why(store: Store) -> None:
    store.put_result(result("base", {"a": True, "b": False}))
    store.put_result(result("trained", {"a": True}))
    assert "Not compared: results base and trained: 1 tasks are in only one of them (the first: b)" in render_report(
        store
    )


def test_sampling_is_compared_on_shared_tasks_only(store: Store) -> None:
    store.put_tasks([task(1), task(2)])
    put_trajectory(store, trajectory("own/1", (RIGHT, passed())))
    put_trajectory(store, trajectory("own/2", (RIGHT, raised())))
    put_trajectory(store, trajectory("own/2", (RIGHT, raised()), origin="sampling"))
    found = debugging_facts(store, PairFacts.of(store)).solving
    assert found is not None and found.shared_only
    assert [(ours.pass_rate, theirs.pass_rate) for _, ours, theirs in found.rows if ours and theirs] == [(0.0, 0.0)]


def test_recorded_runs_measure_no_model(store: Store) -> None:
    put_trajectory(store, trajectory("own/1", (RIGHT, raised()), (RIGHT, passed()), origin="import"))
    text = flat(Page(render_report(store)).text)
    assert "1 trajectory of recorded runs" in text and "measures no model" in text
    assert "Not compared with sampling at equal calls" in text


def test_damaged_training_log_is_named(store: Store) -> None:
    (store.folder / "model").mkdir()
    (store.folder / "model" / "training_log.json").write_text("[{", encoding="utf-8")
    assert "model/training_log.json can&#39;t be read" in render_report(store)


def test_log_without_numbers_has_no_chart(store: Store) -> None:
    (store.folder / "model").mkdir()
    (store.folder / "model" / "training_log.json").write_text('[{"step": 1, "loss": NaN}, {"step": 2, "loss": 1}]')
    assert "no metric with two or more logged steps" in render_report(store)


@pytest.mark.parametrize(
    ("text", "spans", "focal"),
    [
        pytest.param("a\nb\nc", [(2, 4)], [False, True, False], id="a line with its newline"),
        pytest.param("a\nb\nc", [(4, 5)], [False, False, True], id="the last line has none"),
        pytest.param("a\n\nc", [(2, 3)], [False, True, False], id="a blank line"),
        pytest.param("a\u2028b\nc", [(0, 4)], [True, False], id="other line separators don't split"),
        pytest.param("a\nb", [], [False, False], id="no spans"),
    ],
)
def test_signed(text: str, spans: list[tuple[int, int]], focal: list[bool]) -> None:
    lines = signed(text, [Span(start=start, stop=stop) for start, stop in spans], "−")
    assert [(line.text, line.sign) for line in lines] == [
        (part, "−" if mark else "") for part, mark in zip(text.split("\n"), focal, strict=True)
    ]


def test_numbers_as_people_write_them() -> None:
    assert percent(0.6467) == "64.7\N{NO-BREAK SPACE}%"
    assert [points(d) for d in (-0.0123, 0.253, 0.0, -0.0001)] == ["−1.2", "+25.3", "0.0", "0.0"]
    assert [p_value(p) for p in (1.0, 0.0312, 0.00052, 3.14e-12, 0.0)] == [
        "1", "0.031", "5.2 × 10⁻⁴", "3.1 × 10⁻¹²", "below 10⁻³⁰⁰",
    ]  # fmt: skip
    assert [duration(s) for s in (3.21, 59.9, 194.2)] == ["3.2 s", "1 min 0 s", "3 min 14 s"]
    assert [amount(value) for value in (None, 0.00778, 15300)] == ["–", "0.00778", "15,300"]
    assert [how_many(n, "pair") for n in (1, 20_000)] == ["1 pair", "20,000 pairs"]


def test_several_models_stand_in_one_table(store: Store) -> None:
    """Each under its own name, against the one that was evaluated first; two models on one benchmark need no table."""
    solved = {f"t/{i}": i % 2 == 0 for i in range(10)}
    store.put_result(result("1", solved, model="local:base:1"))
    store.put_result(result("2", dict.fromkeys(solved, True), model="local:dpo:2"))
    assert "Small: points over" not in Page(render_report(store)).text
    store.put_result(result("3", dict.fromkeys(solved, False), model="local:target_rpo:3"))
    store.put_result(result("4", dict.fromkeys(solved, True), benchmark="other", model="local:base:1"))
    text = flat(Page(render_report(store)).text)
    assert "local:dpo:2 100.0 %+50.0 (+" in text
    assert "local:target_rpo:3 0.0 %−50.0 (−" in text
    assert "local:base:1 50.0 % 100.0 % 75.0 %" in text
    assert "Small: points over local:base:1" in text
