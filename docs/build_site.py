"""What mkdocs does beside its own: pages from the repository's root, and nothing loaded from elsewhere.

Named under `hooks` in mkdocs.yml. Pages link as a code host needs it (`../CONTRIBUTING.md`); here these links are
turned to the pages that the site makes of such files.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
# Files of the root that are pages of the site.
ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LOADED = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|srcset|href)=["']?(?:https?:)?//""")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    here = page.file.src_uri
    if here in ROOT_PAGES.values():
        return markdown.replace("](docs/", "](")
    up = "../" * here.count("/")
    for name, target in ROOT_PAGES.items():
        markdown = markdown.replace(f"]({up}../{name}", f"]({up}{target}")
    return markdown


def on_post_page(output: str, page: Any, **_: Any) -> str:
    found = _LOADED.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri}: loads from elsewhere: {output[found.start() : found.end() + 60]}")
    return output
