"""Tables in Markdown, and a page of docs/ whose tables are written by the command that measures them."""

import re
from collections.abc import Mapping, Sequence

NOT_RUN = "*Not run yet.*"
Rows = list[Sequence[object]]


def filled(page: str, made: Mapping[str, str]) -> str:
    """The page with each of these tables between its marks, `<!-- table NAME -->` and `<!-- end -->`; others stay."""

    def put(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- table {name} -->\n\n{made[name]}\n\n<!-- end -->" if name in made else found[0]

    return re.sub(r"<!-- table ([\w-]+) -->\n.*?<!-- end -->", put, page, flags=re.DOTALL)


def markdown(head: Sequence[object], rows: Rows) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f}"
