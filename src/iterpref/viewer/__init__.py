"""A run, or several Results → pages: `report.html` of a run folder, and the comparison of models.

    with Store.open("runs/a", write=False) as store:
        path = write_report(store)

Static pages without scripts; nothing on them is loaded from elsewhere. `*_facts`, `examples` and `failing` read the
store for the report, `charts` turns numbers into geometry, `texts` bounds what is shown, `templates/` and `static/` say
how it looks. `live/` is the viewer in a browser, of the same parts (`templates/parts.html.jinja`, `static/base.css`).
"""

from iterpref.viewer.comparison import as_markdown, write_page
from iterpref.viewer.report import render_report, write_report

__all__ = ["as_markdown", "render_report", "write_page", "write_report"]
