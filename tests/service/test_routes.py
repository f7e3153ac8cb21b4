"""What comes over HTTP: batches, refusals, odd and hostile requests."""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from services import Start, post

from iterpref.errors import ConfigError
from iterpref.listening import on_loopback
from iterpref.sandbox import Job
from iterpref.service import ServiceSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
from jobs import job, returns

RIGHT = returns("def f(): return 1", 1)
SLOW = returns("import time\ndef f():\n  time.sleep(1)\n  return 1", 1)
JSON = {"Content-Type": "application/json"}


def as_json(one: Job) -> dict[str, Any]:
    return one.model_dump(mode="json")


def test_a_batch_streams_as_its_jobs_finish(url: str) -> None:
    body = {"jobs": [as_json(SLOW), {"program": 3}, *[as_json(RIGHT)] * 3]}
    began, arrived = time.monotonic(), []
    with httpx2.stream("POST", f"{url}/jobs", json=body, timeout=30) as answer:
        for line in answer.iter_lines():
            arrived.append((json.loads(line), time.monotonic() - began))
    assert [found["index"] for found, _ in arrived][-1] == 0 and arrived[-1][1] - arrived[-2][1] > 0.2
    assert {found["index"]: found.get("execution", {}).get("verdict") for found, _ in arrived} == {
        0: "passed", 1: None, 2: "passed", 3: "passed", 4: "passed",
    }  # fmt: skip
    refused = next(found for found, _ in arrived if found["index"] == 1)
    assert "job 1: program: Input should be a valid string" in refused["error"]


def test_no_place_is_left_and_then_there_is(start: Start) -> None:
    url = start(1, queue=1)
    threads = [threading.Thread(target=post, args=(f"{url}/jobs", as_json(SLOW))) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    refused = post(f"{url}/jobs", as_json(RIGHT))
    assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 30
    assert post(f"{url}/jobs", {"jobs": [as_json(RIGHT)] * 2}).status_code == 429
    assert post(f"{url}/jobs", {"jobs": [as_json(RIGHT)] * 3}).status_code == 413
    for thread in threads:
        thread.join()
    assert post(f"{url}/jobs", as_json(RIGHT)).json()["verdict"] == "passed"
    text = httpx2.get(f"{url}/metrics").text
    assert "iterpref_refused_jobs_total 3.0" in text and "iterpref_admitted_jobs 0.0" in text
    assert 'iterpref_verdicts_total{verdict="passed"} 3.0' in text


def test_what_nobody_waits_for_any_more_is_not_run(start: Start) -> None:
    url = start(1, queue=8)
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{url}/jobs", json={"jobs": [as_json(SLOW)] * 6}, timeout=0.5)
    for _ in range(3):  # alone, and each leaves while it waits
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{url}/jobs", json=as_json(SLOW), timeout=0.1)
    began = time.monotonic()
    assert post(f"{url}/jobs", as_json(RIGHT)).json()["verdict"] == "passed"
    assert time.monotonic() - began < 3, "not nine times a second"
    assert "iterpref_admitted_jobs 0.0" in httpx2.get(f"{url}/metrics").text


def test_health(url: str) -> None:
    found = httpx2.get(f"{url}/health").json()
    assert found["status"] == "ok" and found["workers"] == 2 and found["places"] == 258


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"[]", "the body: got list, expected an object"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"{}", "job: program: Field required; tests: Field required"),
        (b'{"jobs": []}', "jobs: got list, expected a list of one or more"),
        (b'{"jobs": 3}', "jobs: got int"),
        (b'{"program": "x", "tests": [{"path": "../x", "content": ""}], "style": "assert"}', "a relative path"),
        (b'{"program": "x", "tests": [], "style": "cobol"}', "style: Input should be"),
        (
            b'{"program": "x", "tests": [], "style": "assert", "limits": {"cpu_s": NaN}}',
            "limits.cpu_s: Input should be",
        ),
    ],
)
def test_bad_input_malformed_requests(url: str, body: bytes, said: str) -> None:
    answer = httpx2.post(f"{url}/jobs", content=body, headers=JSON)
    assert answer.status_code == 422 and said in answer.json()["error"]
    assert len(answer.text) < 1500


def test_bad_input_one_job_of_a_batch_costs_the_others_nothing(url: str) -> None:
    odd = [{**as_json(RIGHT), "stdin": "\ud800"}, {**as_json(RIGHT), "entry_point": 3}, 7, {"tests": []}]
    body = json.dumps({"jobs": [as_json(RIGHT), *odd, as_json(RIGHT)]})
    answer = httpx2.post(f"{url}/jobs", content=body, headers=JSON, timeout=30)
    found = {line["index"]: line for line in map(json.loads, answer.text.splitlines())}
    assert sorted(found) == list(range(6)) and all("error" in found[i] for i in (2, 3, 4))
    assert [found[i]["execution"]["verdict"] for i in (0, 1, 5)] == ["passed"] * 3


def test_bad_input_a_reference_may_not_stretch_the_limits(url: str) -> None:
    patient = as_json(RIGHT) | {"reference": "x", "limits": {"cpu_s": 100.0}}
    answer = post(f"{url}/jobs", patient)
    assert answer.status_code == 422 and "with a reference a job may take 10 times its limits" in answer.json()["error"]


def test_bad_input_queries_and_routes(url: str) -> None:
    assert post(f"{url}/jobs?repeat=99", as_json(RIGHT)).status_code == 422
    assert post(f"{url}/jobs?repeat=x", as_json(RIGHT)).status_code == 422
    assert httpx2.get(f"{url}/jobs").status_code == 405
    assert post(f"{url}/elsewhere", {}).status_code == 404


def test_bad_input_large_and_slow_bodies(start: Start) -> None:
    url = start(1, body_bytes=100_000, body_s=1.0)
    large = as_json(job("x = '" + "x" * 200_000 + "'", "assert x"))
    assert post(f"{url}/jobs", large).status_code == 413
    chunked = httpx2.post(f"{url}/jobs", content=(b" " * 10_000 for _ in range(50)), headers=JSON)
    assert chunked.status_code == 413, "by what came, where no length was declared"
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        head = [
            "POST /jobs HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Content-Type: application/json",
            "Content-Length: 99",
        ]
        slow.sendall("\r\n".join([*head, "", ""]).encode())
        slow.settimeout(10)
        assert b"408" in slow.recv(4096).split(b"\r\n")[0]
    assert post(f"{url}/jobs", as_json(RIGHT)).json()["verdict"] == "passed"


def test_bad_input_ten_megabytes_of_program(url: str) -> None:
    large = job("def f(x): return 2\n" + "# " + "x" * 10_000_000, "assert f(1) == 2")
    assert post(f"{url}/jobs", as_json(large)).json()["verdict"] in ("passed", "error")
    assert post(f"{url}/jobs", as_json(RIGHT)).json()["verdict"] == "passed"


def test_only_this_machine_or_a_token(start: Start, url: str) -> None:
    assert httpx2.post(f"{url}/jobs", content=b"{}").status_code == 415, "what a web page may send unasked"
    for host in ("attacker.example", "attacker.example:8080", "[2001:db8::1]", "[2001:db8::1]:80", "localhost.example"):
        assert httpx2.get(f"{url}/health", headers={"Host": host}).status_code == 403, "DNS rebinding"
    for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]", "[::1]:8080"):
        assert httpx2.get(f"{url}/health", headers={"Host": host}).status_code == 200
    guarded = start(1, token="secret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \xe9"}):
        raw = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
        assert post(f"{guarded}/jobs", as_json(RIGHT), headers=raw).status_code == 401
        assert httpx2.get(f"{guarded}/metrics", headers=raw).status_code == 401
    assert httpx2.get(f"{guarded}/health").status_code == 200
    assert post(f"{guarded}/jobs", as_json(RIGHT), headers={"Authorization": "Bearer secret"}).status_code == 200
    with pytest.raises(ConfigError, match=r"host 0.0.0.0 can be reached from other machines: give a token"):
        ServiceSettings(host="0.0.0.0")
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        assert on_loopback(ServiceSettings(host=host).host)
    assert not on_loopback(ServiceSettings(host="example.org", token="x").host)


def test_killed_workers_cost_no_answer(start: Start) -> None:
    url = start(2)
    jobs = [as_json(returns(f"def f(): return {n}", n)) for n in range(200)]
    stop = threading.Event()

    def kill() -> None:
        own = os.getpid()
        while not stop.wait(0.1):
            for pid in _workers(own)[:1]:
                with contextlib.suppress(OSError):
                    os.kill(pid, 9)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with httpx2.stream("POST", f"{url}/jobs", json={"jobs": jobs}, timeout=120) as answer:
            found = [json.loads(line) for line in answer.iter_lines()]
    finally:
        stop.set()
        killer.join()
    assert sorted(line["index"] for line in found) == list(range(200))
    broken = [line for line in found if line["execution"]["verdict"] != "passed"]
    assert all(line["execution"]["verdict"] == "sandbox_error" for line in broken) and len(broken) < 20


def _workers(pid: int, depth: int = 2) -> list[int]:
    """Launchers and zygotes of this process's sandboxes; who kills a run itself has made it crash."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, file.read_text().split()):
                found += [*(_workers(child, depth - 1) if depth > 1 else ()), child]
    return found


def test_nothing_of_the_host_is_in_any_answer(url: str) -> None:
    """But Python's own directories, which programs import from under their own names."""
    looking = job(
        "import os, sys\n"
        "def f(x):\n"
        "  seen = [path for path in sys.path if not path.startswith((sys.prefix, sys.base_prefix))]\n"
        "  own = {name: value for name, value in os.environ.items() if name != 'PATH'}\n"
        "  print(os.getcwd(), seen, own, os.listdir('/'), os.listdir('/tmp'), sys.argv, os.uname())\n"
        "  raise ValueError(__file__)\n",
        "assert f(1) == 2",
    )
    script = {"code": looking.program + "f(1)", "language": "python"}
    texts = [post(f"{url}/jobs", as_json(looking)).text, post(f"{url}/run_code", script).text]
    texts.append(post(f"{url}/jobs", {"program": "x", "tests": [], "style": "pytest"}).text)
    here, home = Path(__file__).parents[2], Path.home()
    telling = [str(here), f"{home}/", "HF_HUB", "TOKENIZERS", "PYTEST_CURRENT", f"nodename='{socket.gethostname()}'"]
    for text in texts:
        assert [word for word in telling if word in text] == [], text
