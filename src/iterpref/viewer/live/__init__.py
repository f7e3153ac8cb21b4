"""`iterpref view`: a run folder → pages in a browser, while it runs and after.

    serve_viewer(ViewSettings(Path("runs/a")))

Read-only but for review marks; nothing is loaded from elsewhere, and no program is executed. `app` says which page
comes from where; `guard` who may ask; `overlay` how tokens are shown.
"""

from .app import viewer_app
from .serve import serve_viewer
from .settings import ViewSettings

__all__ = ["ViewSettings", "serve_viewer", "viewer_app"]
