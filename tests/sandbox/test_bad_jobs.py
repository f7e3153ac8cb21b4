"""Bad input: jobs that can't be run are refused with what is wrong, before a program is blamed for it."""

from typing import Any

import pytest
from jobs import job
from pydantic import ValidationError

from iterpref.records import Limits, TestFile


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/x.py",
        "../x.py",
        "a/../../x.py",
        "x\0.py",
        "n" * 256,
        "a/" + "é" * 128,
        "\ud800",
        "d" * 200 + "/" + "e/" * 500,
    ],
)
@pytest.mark.parametrize("field", ["program_path", "files", "path"])
def test_bad_input_paths(field: str, path: str) -> None:
    given: Any = (TestFile(path=path, content=""),) if field == "files" else path
    with pytest.raises(ValidationError, match="expected"):
        job("x = 1", "assert x == 1", **{field: given})


def test_bad_input_files_that_can_not_be_written() -> None:
    large = tuple(TestFile(path=f"f{n}", content="é" * 1000) for n in range(5))
    with pytest.raises(ValidationError, match=r"files: 10000 bytes; limits.file_bytes allows 8192"):
        job("x = 1", "assert x == 1", files=large, limits=Limits(file_bytes=8192))
    with pytest.raises(ValidationError, match=r"'solution.py/x' lies in what is a file itself"):
        job("x = 1", "assert x == 1", files=(TestFile(path="solution.py/x", content=""),))
    with pytest.raises(ValidationError, match=r"'solution.py/x.py' lies in what is a file itself"):
        job("x = 1", "assert x == 1", "pytest", path="solution.py/x.py")


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("field", ["cpu_s", "wall_s", "call_cpu_s", "call_wall_s"])
def test_bad_input_times(field: str, seconds: float) -> None:
    with pytest.raises(ValidationError, match=f"{field}\n"):
        Limits.model_validate({field: seconds})


@pytest.mark.parametrize("number", [0, -1, 1 << 70])
@pytest.mark.parametrize("field", ["memory_bytes", "processes", "open_files", "file_bytes", "output_bytes"])
def test_bad_input_numbers(field: str, number: int) -> None:
    with pytest.raises(ValidationError, match=f"{field}\n"):
        Limits.model_validate({field: number})
