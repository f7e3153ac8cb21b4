"""Facts → HTML: what live and static pages share. All is escaped by the template engine.

On a static page every text that is printed passes its `TextRoom`: spelled out where it would do harm, and bounded.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

import iterpref
from iterpref.visible import one_line, shown

from .numbers import amount, duration, grouped, how_many, interval, p_value, percent, points
from .texts import DiffLine, ShownLine, TextRoom, plain_lines, short_id

_FILTERS = (
    percent,
    points,
    interval,
    p_value,
    duration,
    amount,
    grouped,
    how_many,
    shown,
    one_line,
    short_id,
    plain_lines,
)
_NO_PAGE = TextRoom()  # of live pages: each text is bounded, all of them together aren't


def static_page(template: str, room: TextRoom, **facts: Any) -> str:
    """A page in one file: its style is inside, and it loads and runs nothing."""
    return environment().get_template(template).render(room=room, version=iterpref.__version__, **facts).lstrip()


@cache
def environment() -> Environment:
    """Of static pages."""
    found = templates(PackageLoader("iterpref.viewer", "templates"), PackageLoader("iterpref.viewer", "static"))
    found.finalize = _inert
    found.globals |= {"whole_texts": "iterpref view"}
    return found


def templates(*loaders: BaseLoader) -> Environment:
    """An environment with our filters; `bounded` and `listed` put texts into the page's `room`."""
    found = Environment(loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                        lstrip_blocks=True)  # fmt: skip
    found.filters |= {function.__name__: function for function in _FILTERS}
    found.filters |= {"bounded": _bounded, "listed": _listed}
    return found


@pass_context
def _bounded(context: Context, text: str) -> tuple[Markup, int]:
    return (context.get("room") or _NO_PAGE).text(text)  # type: ignore[no-any-return]


@pass_context
def _listed(context: Context, lines: Sequence[DiffLine]) -> tuple[list[ShownLine], int]:
    return (context.get("room") or _NO_PAGE).code(lines)  # type: ignore[no-any-return]


@pass_context
def _inert(context: Context, value: Any) -> Any:
    """Every text that a template prints and that isn't HTML already."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return (context.get("room") or _NO_PAGE).word(value)
