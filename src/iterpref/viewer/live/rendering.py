"""Facts → a live page. Parts that static pages have, too, are those of `viewer/rendering.py`."""

import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from fastapi import Response
from jinja2 import Environment, PackageLoader

import iterpref
from iterpref.viewer.rendering import templates

from .settings import ViewSettings


class Page:
    """Makes pages of one viewer."""

    def __init__(self, settings: ViewSettings) -> None:
        self._known = {
            "run": settings.run.resolve().name,
            "run_path": shlex.quote(str(settings.run)),
            "beside": bool(settings.beside),
            "version": iterpref.__version__,
        }

    def __call__(self, template: str, status: int = 200, **facts: Any) -> Response:
        return Response(self.text(template, **facts), status, media_type="text/html; charset=utf-8")

    def text(self, template: str, **facts: Any) -> bytes:
        """Surrogates that came through as part of an id or a name are spelled out."""
        made = _environment().get_template(f"{template}.html.jinja").render(**self._known, **facts)
        return made.encode("utf-8", "backslashreplace")

    def refusal(self, status: int, text: str) -> bytes:
        """The page of something that went wrong."""
        return self.text("error", status=status, said=text)


def link(path: str, given: Mapping[str, Any] | None = None, **more: Any) -> str:
    """An address of ours; what is empty is left out."""
    query = {name: value for name, value in {**(given or {}), **more}.items() if value is not None and value != ""}
    encoded = urlencode(query, errors="surrogatepass")
    return f"{path}?{encoded}" if encoded else path


@cache
def _environment() -> Environment:
    found = templates(PackageLoader("iterpref.viewer.live", "templates"), PackageLoader("iterpref.viewer", "templates"))
    found.globals |= {"link": link, "whole_texts": "iterpref export"}
    return found
