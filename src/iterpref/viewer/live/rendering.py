"""Facts → a page. All is escaped by the template engine; texts of models and programs also pass `visible.shown`."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from fastapi import Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

import iterpref
from iterpref.viewer.charts import percent
from iterpref.viewer.report import amount, duration, p_value, points
from iterpref.visible import bounded, one_line, shown

from .settings import ViewSettings


class Page:
    """Makes pages of one viewer."""

    def __init__(self, settings: ViewSettings) -> None:
        self._run = settings.run.resolve().name
        self._beside = bool(settings.beside)

    def __call__(self, template: str, status: int = 200, **facts: Any) -> Response:
        return Response(self.text(template, **facts), status, media_type="text/html; charset=utf-8")

    def text(self, template: str, **facts: Any) -> bytes:
        """Surrogates that came through as part of an id or a name are spelled out."""
        known = {"run": self._run, "beside": self._beside, "version": iterpref.__version__}
        made = _environment().get_template(f"{template}.html.jinja").render(**known, **facts)
        return made.encode("utf-8", "backslashreplace")

    def refusal(self, status: int, text: str) -> bytes:
        """The page of something that went wrong."""
        return self.text("error", status=status, said=text)


def link(path: str, given: Mapping[str, Any] | None = None, **more: Any) -> str:
    """An address of ours; what is empty is left out."""
    query = {name: value for name, value in {**(given or {}), **more}.items() if value is not None and value != ""}
    encoded = urlencode(query, errors="surrogatepass")
    return f"{path}?{encoded}" if encoded else path


def short_id(name: str) -> str:
    """An id with the middle of its long hashes left out, to be read in a table."""
    return shown(name if len(name) <= 44 else f"{name[:26]}…{name[-16:]}")


@cache
def _environment() -> Environment:
    loader = ChoiceLoader(
        [PackageLoader("iterpref.viewer.live", "templates"), PackageLoader("iterpref.viewer", "templates")]
    )
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"percent": percent, "points": points, "p_value": p_value, "duration": duration, "amount": amount,
                      "shown": shown, "bounded": bounded, "one_line": one_line, "short_id": short_id}  # fmt: skip
    found.globals |= {"link": link}
    return found
