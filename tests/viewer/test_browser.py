"""The viewer in a real browser: nothing fails in its console, keys work, hostile texts are inert, axe finds nothing.

Slow, as a browser is; needs playwright's Python package and a Chromium of the system.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")
pytest.importorskip("axe_playwright_python")
from live_runs import serving
from live_tokenizers import TOKENIZERS
from playwright import sync_api
from small_run import HOSTILE, RIGHT, passed, put_trajectory, task, trajectory

from iterpref.analysis import Entrant, compare_all
from iterpref.errors import StoreError
from iterpref.records import PreferencePair
from iterpref.store import Store
from iterpref.training import ShownSettings, shown_pair
from iterpref.viewer.comparison import write_page
from iterpref.viewer.report import write_report

Fill = Callable[[], Store]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SCREENS = {
    f"{width} {scheme}": {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for width in (1280, 390)
    for scheme in ("light", "dark")
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path"),
    # Playwright's own loop leaves these to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Watched:
    """A page, and everything that it complained of."""

    def __init__(self, browser: Any, **screen: Any) -> None:
        self.context = browser.new_context(**screen)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Watched]]:
    with ExitStack() as opened:
        yield lambda **screen: opened.enter_context(Watched(browser, **screen))


def pages(start: str, page: Any) -> list[str]:
    """One address of each kind of page that links lead to from `start`; where a kind has several, the first."""
    waiting, kinds = [start], {}
    while waiting:
        url = waiting.pop(0)
        kind = url.removeprefix(start.rstrip("/")).split("?")[0]
        if kind in kinds or not url.startswith(start.rstrip("/")):
            continue
        kinds[kind] = url
        page.goto(url)
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
        waiting += [urljoin(url, link).split("#")[0] for link in links]
    return list(kinds.values())


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_each_page_is_accessible_and_quiet(fill: Fill, watch: Callable[..., Watched], screen: dict[str, Any]) -> None:
    store = fill()
    shutil.copytree(_coder(), store.folder / "model", dirs_exist_ok=True)
    pair = next(store.pairs(kept=True)).pair_id
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    with serving(store.folder) as url:
        watched = watch(**screen)
        page = watched.page
        found = pages(f"{url}/", page)
        assert len(found) >= 12, found
        for address in (*found, f"{url}/pair?id={quote(pair)}&tokenizer=training+model", f"{url}/tasks?q=nothing+such"):
            page.goto(address)
            too_wide = page.evaluate(TOO_WIDE)
            page.evaluate(axe)
            report = page.evaluate("tags => axe.run(document, {runOnly: tags})", WCAG)
            violations = [(one["id"], one["nodes"][0]["html"][:200]) for one in report["violations"]]
            assert (too_wide, violations, watched.complaints) == (0, [], []), address


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_pages_in_one_file_are_accessible_and_quiet(
    fill: Fill, watch: Callable[..., Watched], screen: dict[str, Any], tmp_path: Path
) -> None:
    store = fill()
    entrants = [Entrant(name=made.model, results={made.benchmark: made}) for made in store.results()]
    write_page(compare_all(entrants), entrants, tmp_path / "compare.html")
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    watched = watch(**screen)
    page = watched.page
    for path in (write_report(store), tmp_path / "compare.html"):
        page.goto(path.as_uri())
        assert page.evaluate(TOO_WIDE) == 0, path  # everything folded, as a reader finds it
        page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
        page.evaluate(axe)
        report = page.evaluate("tags => axe.run(document, {runOnly: tags})", WCAG)
        violations = [(one["id"], one["nodes"][0]["html"][:200]) for one in report["violations"]]
        assert (page.evaluate(TOO_WIDE), violations, watched.complaints) == (0, [], []), path


def test_the_index_stays_beside_the_report_and_folds_on_a_phone(fill: Fill, watch: Callable[..., Watched]) -> None:
    path = write_report(fill()).as_uri()
    page = watch(**SCREENS["1280 light"]).page
    page.goto(path)
    assert not page.locator("details.index").is_visible()
    page.get_by_role("link", name="The run and its settings").click()
    assert page.locator("nav.index").bounding_box()["y"] >= 0  # it came along
    assert page.locator("#run").bounding_box()["y"] >= 0
    phone = watch(**SCREENS["390 dark"]).page
    phone.goto(path)
    assert not phone.locator("body > nav.index").is_visible()
    assert not phone.get_by_role("link", name="Training", exact=True).is_visible()
    phone.get_by_text("Sections", exact=True).click()
    phone.get_by_role("link", name="Training", exact=True).click()
    assert (
        phone.locator("#training").bounding_box()["y"] >= phone.locator("details.index > summary").bounding_box()["y"]
    )
    phone.emulate_media(media="print", color_scheme="dark")
    paper = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(251, 251, 249)" and not phone.locator("details.index").is_visible()


def _coder() -> Path:
    from iterpref.playground.coder import coder_path

    return coder_path()


def test_keys(fill: Fill, watch: Callable[..., Watched]) -> None:
    store = fill()
    with serving(store.folder) as url:
        page = watch(color_scheme="light").page
        page.goto(f"{url}/tasks")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/task?*")
        page.goto(f"{url}/tasks")
        page.keyboard.press("/")
        page.keyboard.type("own/3")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=own%2F3**")
        assert page.locator("[data-row]").count() == 1
        page.goto(f"{url}/pairs")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/pair?*")
        first = page.url
        page.keyboard.press("ArrowRight")
        page.wait_for_function("before => location.href !== before", arg=first)
        page.keyboard.press("t")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_review_is_there_after_a_restart(fill: Fill, watch: Callable[..., Watched]) -> None:
    store = fill()
    pair = next(store.pairs(kept=True)).pair_id
    page = watch().page
    with serving(store.folder) as url:
        page.goto(f"{url}/pair?id={quote(pair)}")
        page.keyboard.press("n")
        page.keyboard.type("swaps the helper")
        page.locator("[data-press=r]").click()
        page.wait_for_selector("[value=reject][aria-pressed=true]")
    with serving(store.folder) as url:
        page.goto(f"{url}/pair?id={quote(pair)}")
        assert page.locator("[value=reject][aria-pressed=true]").count() == 1
        assert page.locator("[data-note]").input_value() == "swaps the helper"
        page.locator("#content").focus()
        page.keyboard.press("u")
        page.wait_for_selector("[value=reject]:not([aria-pressed])")


def test_hostile_texts_are_shown_and_do_nothing(fill: Fill, watch: Callable[..., Watched]) -> None:
    store = fill()
    with serving(store.folder) as url:
        watched = watch()
        for path in ("/task?id=own/2", "/trajectory?id=own/2:debugging"):
            watched.page.goto(f"{url}{path}")
            watched.page.wait_for_timeout(200)
            assert HOSTILE in watched.page.inner_text("main")
            assert watched.page.locator("main img, main script").count() == 0
        assert watched.complaints == []


def test_numbers_follow_a_run_under_way(fill: Fill, watch: Callable[..., Watched]) -> None:
    store = fill()
    with serving(store.folder) as url:
        page = watch().page
        page.goto(f"{url}/")
        sync_api.expect(page.locator("#state")).to_have_text("live")
        assert "of 4 finished" in page.inner_text("#live")
        store.put_tasks([task(5)])
        put_trajectory(store, trajectory("own/5", (RIGHT, passed())))
        sync_api.expect(page.locator("#live")).to_contain_text("of 5 finished")


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
def test_the_overlay_that_is_seen_is_the_mask(
    fill: Fill, watch: Callable[..., Watched], make: Any, tmp_path: Path
) -> None:
    store, tokenizer = fill(), make()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    pair = next(store.pairs(kept=True))
    with serving(store.folder, tokenizers=(str(tmp_path / "tokenizer"),)) as url:
        page = watch().page
        page.goto(f"{url}/pair?id={quote(pair.pair_id)}")
        page.select_option("select[name=tokenizer]", str(tmp_path / "tokenizer"))
        page.get_by_role("button", name="Show tokens").click()
        page.wait_for_selector(".tok.penalised")
        seen = {side: _seen(page, side) for side in ("chosen", "rejected")}
    assert seen == _trained(pair, tokenizer)


def _seen(page: Any, side: str) -> list[str]:
    titles = f"[aria-label='tokens of the {side} side'] .tok"
    return page.eval_on_selector_all(titles, "all => all.map(one => one.title)")


def _trained(pair: PreferencePair, tokenizer: Any) -> dict[str, list[str]]:
    shown = shown_pair(pair, tokenizer, ShownSettings())
    return {
        side: [f"{token.part}, token {token.id}" for token in getattr(shown, side) if token.part != "prompt"]
        for side in ("chosen", "rejected")
    }


def test_a_real_demo_looked_at_while_it_runs(watch: Callable[..., Watched], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "iterpref", "demo", "--quick", "--run", str(tmp_path / "demo")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        while demo.poll() is None and not _can_be_read(tmp_path / "demo"):
            time.sleep(0.1)
        with serving(tmp_path / "demo") as url:
            watched = watch()
            page = watched.page
            page.goto(f"{url}/")
            under_way = re.compile("of [1-9][0-9,]* finished")
            sync_api.expect(page.locator("#live")).to_contain_text(under_way, timeout=300_000)
            assert demo.wait(500) == 0
            found = pages(f"{url}/", page)
            kinds = {address.removeprefix(url).split("?")[0] for address in found}
            assert kinds >= {"/", "/tasks", "/trajectory", "/pair", "/training", "/results", "/sample", "/compare/task"}
            page.goto(next(address for address in found if "/compare/task?" in address))
            assert page.locator("main pre.code").count() >= 2
            assert watched.complaints == []


def _can_be_read(run: Path) -> bool:
    """Whether the command that makes a run has come so far."""
    try:
        Store.open(run, write=False).close()
    except StoreError:
        return False
    return True
