"""What `doctor` says where a container withholds namespaces: by signs that each leaves, in made-up roots."""

from pathlib import Path

import pytest

from iterpref.sandbox.surroundings import around_us, obstacles, places

STATUS = "Name:\tpython\nSeccomp:\t{seccomp}\nNoNewPrivs:\t1\n"
MOUNT = "25 24 0:22 / {at} rw,nosuid - proc proc rw\n"


def root_with(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("environment", "files", "found", "asked"),
    [
        ({}, [], [], []),
        ({}, [".dockerenv"], ["Docker container"], ["--security-opt seccomp=unconfined"]),
        ({}, ["run/.containerenv"], ["Podman container"], ["--security-opt systempaths=unconfined"]),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, [".dockerenv"], ["Kubernetes pod"], ["procMount: Unmasked"]),
        ({"SLURM_JOB_ID": "7"}, [], ["Slurm job"], ["user.max_user_namespaces=10000"]),
        (
            {"SLURM_JOB_ID": "7", "SINGULARITY_CONTAINER": "/x.sif"},
            [],
            ["Slurm job", "Apptainer image"],
            ["compute nodes", "apptainer exec --userns"],
        ),
    ],
    ids=["nothing known", "docker", "podman", "a pod with Docker's files", "slurm", "an image in a job"],
)
def test_the_place_is_known_by_its_signs(tmp_path, environment, files, found, asked) -> None:
    around = places(environment, root_with(tmp_path, *files))
    assert [place.name for place in around] == found
    for place, words in zip(around, asked, strict=True):
        assert words in place.ask


def test_what_can_be_seen_of_the_reasons(tmp_path) -> None:
    assert obstacles(tmp_path) == []
    (tmp_path / "proc/self/attr").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text(STATUS.format(seccomp=2))
    (tmp_path / "proc/self/attr/current").write_text("docker-default (enforce)\n")
    mounts = ["/", "/proc", *(f"/proc/{name}" for name in ("kcore", "keys", "sys", "timer_list"))]
    (tmp_path / "proc/self/mountinfo").write_text("".join(MOUNT.format(at=at) for at in mounts))
    assert obstacles(tmp_path) == [
        "a filter of system calls is on this process (Seccomp: 2)",
        "AppArmor holds it to the profile docker-default (enforce)",
        "parts of /proc are covered (/proc/kcore, /proc/keys, /proc/sys, ...)",
    ]
    (tmp_path / "proc/self/status").write_text(STATUS.format(seccomp=0))
    (tmp_path / "proc/self/attr/current").write_text("unconfined\n")
    (tmp_path / "proc/self/mountinfo").write_text(MOUNT.format(at="/proc"))
    assert obstacles(tmp_path) == []


def test_what_doctor_adds(monkeypatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    told = around_us()
    assert told["around"]["Slurm job"].startswith("ask its administrator to set on the compute nodes")
    assert "iterpref serve" in told["otherwise"]
