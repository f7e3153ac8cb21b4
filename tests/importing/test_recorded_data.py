"""Recorded runs of real models: how many of their verdicts and pairs are found again. Figures in docs/import.md."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.config import PairingConfig
from iterpref.importing import import_recorded
from iterpref.pairing.pair import make_pairs
from iterpref.sandbox import Sandbox
from iterpref.store import Store


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def test_recorded_verdicts_and_pairs_are_found_again(store: Store, sandbox: Sandbox, shared_data: Path) -> None:
    path = shared_data / "trajectories" / "debug_trajectories_dev.jsonl"
    summary = import_recorded(path, store, sandbox)
    assert (summary.versions, summary.trajectories) == (816, 356)
    assert summary.agree >= 0.98 * summary.versions, summary.disagreements
    recorded = {
        (row["id"], recorded_pair["failed_step"], recorded_pair["passed_step"])
        for row in map(json.loads, path.read_text().splitlines())
        for recorded_pair in row["pairs"]
        if recorded_pair["clean"] and not recorded_pair["duplicate"]
    }
    assert len(recorded) == 412
    made = list(make_pairs(store, PairingConfig(negatives="each")))
    assert len(made) == summary.pairs
    found = recorded & {(p.trajectory_id, p.rejected_iteration, p.chosen_iteration) for p in made}
    assert len(found) >= 400


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "versions", "trajectories"),
    [("degenerate_dev", 240, 120), ("unresolved_dev", 651, 285), ("humanevalfix_dev", 246, 123)],
)
def test_other_recordings(
    store: Store, sandbox: Sandbox, shared_data: Path, name: str, versions: int, trajectories: int
) -> None:
    summary = import_recorded(shared_data / "trajectories" / f"{name}.jsonl", store, sandbox)
    assert (summary.versions, summary.trajectories) == (versions, trajectories)
    assert summary.agree >= 0.98 * versions, summary.disagreements
    assert summary.failed_tools == ()
