"""Pushing to a stand-in of the hub's API: the four requests that huggingface_hub makes, over real HTTP."""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from iterpref.errors import IterPrefError
from iterpref.exporting import FORMATS, push_to_hub, write_export
from iterpref.store import Store

TOKEN = "hf_canary0123456789"


class Hub(ThreadingHTTPServer):
    """Keeps what was pushed; `refuse` answers every request with that status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refuse = 0
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers.get("Authorization", ""))
        if self.server.refuse:
            return self._answer(self.server.refuse, {"error": "not for you"})
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            return self._answer(200, {"url": f"http://{self.headers['Host']}/datasets/me/pairs"})
        if self.path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if re.fullmatch("/api/datasets/me/pairs/preupload/main", self.path):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": files})
        if re.fullmatch("/api/datasets/me/pairs/commit/main", self.path):
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"http://{self.headers['Host']}/datasets/me/pairs/commit/{'0' * 40}"
            return self._answer(200, {"success": True, "commitOid": "0" * 40, "commitUrl": url})
        return self._answer(404, {"error": f"no {self.path}"})

    def _answer(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        online(monkeypatch, server.server_port)
        yield server
        server.shutdown()


def online(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def folder(run: Store, tmp_path: Path) -> Path:
    write_export(tmp_path / "out", run.pairs(kept=True), FORMATS["trl"], "---\nlicense: mit\n---\n# Pairs")
    return tmp_path / "out"


def test_data_and_card_are_pushed(hub: Hub, folder: Path) -> None:
    (folder / "notes.txt").write_text("not part of the dataset")
    url = push_to_hub(folder, "me/pairs")
    assert url.endswith("/datasets/me/pairs/commit/" + "0" * 40)
    assert hub.files == {name: (folder / name).read_bytes() for name in ("train.jsonl", "README.md")}
    [created] = hub.created
    assert (created["name"], created["type"]) == ("pairs", "dataset")
    assert created.get("private") or created["visibility"] == "private"  # huggingface_hub 1 and 2
    assert f"Bearer {TOKEN}" in hub.tokens


def test_a_hub_that_refuses(hub: Hub, folder: Path) -> None:
    hub.refuse = 403
    with pytest.raises(IterPrefError, match=r"refused with status 403: .*the export is in .*HF_TOKEN") as raised:
        push_to_hub(folder, "me/pairs")
    assert TOKEN not in str(raised.value)


def test_no_hub_there(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        online(monkeypatch, free.getsockname()[1])  # bound, not listening: refused at once
        with pytest.raises(IterPrefError, match=r"http://127.0.0.1:\d+ can't be reached .*the export is in") as raised:
            push_to_hub(folder, "me/pairs")
    assert TOKEN not in str(raised.value)
    assert (folder / "train.jsonl").is_file()


def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    online(monkeypatch, 9)
    with pytest.raises(IterPrefError, match=r"--push a/b/c: .*expected owner/name"):
        push_to_hub(folder, "a/b/c")
