"""What a worker leaves that was killed together with its launcher and janitor, the next one removes."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from jobs import job

from iterpref.sandbox import Sandbox
from iterpref.sandbox.inside.linux import stale
from iterpref.sandbox.inside.linux.processes import descendants

RIGHT = job("def f(x): return x + 1", "assert f(1) == 2")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def _things(pid: int) -> list[Path]:
    places = [Path(tempfile.gettempdir()), *Path("/sys/fs/cgroup").glob("*"), *Path("/sys/fs/cgroup").glob("*/*/*")]
    return [path for place in places for path in place.glob(f"iterpref-sandbox-{pid}*")]


@linux_only
@pytest.mark.parametrize("isolation", ["zygote_cgroup", "rlimits"])
def test_the_next_worker_removes_what_a_killed_one_left(
    isolation: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue({"zygote_cgroup": "grouped", "rlimits": "bare"}[isolation])
    host = f"""
import sys, time, warnings
warnings.simplefilter("ignore")
from iterpref.sandbox import Sandbox
sandbox = Sandbox(workers=1, isolation={isolation!r})
print(next(iter(sandbox.pool.open)).pid, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        launcher = int(process.stdout.readline())
        everyone = [process.pid, launcher, *descendants(launcher)]
        for pid in everyone:  # stopped first, so that none can tidy up after another
            os.kill(pid, signal.SIGSTOP)
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    left = _things(launcher)
    assert left, "nothing was left: this test tests nothing"
    for path in left:
        stale.sweep(str(path.parent), os.rmdir)
    assert _things(launcher) == left, "a young thing may be about to be used"
    for path in left:
        os.utime(path, (0, 0))
    with pytest.warns() if isolation == "rlimits" else contextlib.nullcontext():
        sandbox = Sandbox(workers=1, isolation=isolation)  # type: ignore[arg-type]
    with sandbox:
        assert sandbox.run(RIGHT).passed
        assert _things(launcher) == []


def test_what_is_locked_or_has_a_living_maker_stays(tmp_path: Path) -> None:
    gone = 4_194_304 - 1  # above the usual pid_max
    names = [f"iterpref-sandbox-{gone}-locked", f"iterpref-sandbox-{os.getpid()}-mine", f"iterpref-sandbox-{gone}-old"]
    for name in [*names, "unrelated"]:
        (tmp_path / name).mkdir()
    claim = stale.claim(str(tmp_path / names[0]))
    stale.sweep(str(tmp_path), os.rmdir, young_s=-1.0)
    os.close(claim)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names[:2], "unrelated"])
