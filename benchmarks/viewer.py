"""How long the pages of `iterpref view` take on a large run, and how much memory the server holds.

    python -m benchmarks.viewer --tasks 100000 [--run FOLDER]

Makes a run of made-up records (kept with --run, and used again), asks each page several times, each time with another
place in the list, and prints the median and the slowest in milliseconds; the first call of a page, which compiles its
template, is left out.
"""

import argparse
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from fastapi.testclient import TestClient

from iterpref.config import PairingConfig
from iterpref.pairing import make_pairs
from iterpref.programs import fenced
from iterpref.records import Attempt, Execution, Task, TestFile, Trajectory
from iterpref.store import PAGE, Store
from iterpref.viewer.live import ViewSettings, viewer_app

EACH = 1000  # tasks that are made; the others are copies under other ids
ERRORS = ("IndexError", "KeyError", "TypeError", "ValueError", "ZeroDivisionError", "NameError")
BODY = "\n".join(f"    step_{i} = sorted(value * {i} for value in values)" for i in range(8))


def execution(draw: random.Random, passed: bool) -> Execution:
    told = {"trust": "oracle", "isolation": "zygote", "cpu_s": 0.01, "wall_s": 0.02}
    if passed:
        return Execution(verdict="passed", **told)
    if draw.random() < 0.5:
        return Execution(
            verdict="failed", error_type="AssertionError", error="solve([1]) returned 2, expected 3", **told
        )
    return Execution(verdict="error", error_type=draw.choice(ERRORS), error="of a made-up program", **told)


def attempt(draw: random.Random, number: int, iteration: int, passed: bool) -> Attempt:
    program = f"def solve(values):\n{BODY}\n    return step_{draw.randrange(8)} + [{number}, {iteration}]"
    return Attempt(iteration=iteration, program=program, completion=fenced(program), execution=execution(draw, passed))


def fill(store: Store, tasks: int) -> None:
    """A task each with one to five attempts, three in four of them solved."""
    draw = random.Random(0)
    tests = (TestFile(path="t.py", content="assert solve([1]) == 3"),)
    with store._writing():  # one transaction for many; a real run commits each record
        for number in range(tasks):
            name = f"made/{number:03d}"
            prompt = f"Write solve(values), number {number}. " + "It must sort and combine what it is given. " * 6
            store.put_tasks([Task(task_id=name, prompt=prompt, tests=tests, style="assert", entry_point="solve")])
            count = draw.choice((1, 1, 2, 2, 3, 4, 5))
            solved = draw.random() < 0.75
            made = tuple(attempt(draw, number, i, solved and i == count - 1) for i in range(count))
            for one in made:
                store.put_execution(f"{name}:{one.iteration}", one.execution)
                store.put_attempt(f"{name}:debugging", name, one, f"{name}:{one.iteration}")
            status = "passed" if solved else "unresolved"
            store.put_trajectory(Trajectory(
                trajectory_id=f"{name}:debugging", task_id=name, attempts=made, client="made", status=status
            ))  # fmt: skip
    store.replace_pairs(make_pairs(store, PairingConfig(negatives="last")))


def copy_many(database: Path, copies: int) -> None:
    """Each row again under other ids, `made/` as `made7/`: texts are shared, ids and records are not."""
    tables = ("tasks", "executions", "attempts", "trajectories", "pairs")
    with sqlite3.connect(database) as connection:
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            renamed = ", ".join(
                f"replace({name}, 'made/', 'made' || c.x || '/')" if name not in ("kept", "iteration") else name
                for name in columns
            )
            numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?)"
            connection.execute(f"INSERT INTO {table} {numbers} SELECT {renamed} FROM {table}, c", (copies - 1,))
            print(table, connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0], flush=True)
    connection.close()


def measure(run: Path, tasks: int, times: int) -> None:
    asked = TestClient(viewer_app(ViewSettings(run)), base_url="http://127.0.0.1")
    last = tasks // PAGE
    pages = {
        "tasks": lambda i: f"/tasks?page={1 + i * last // times}",
        "tasks, search": lambda i: f"/tasks?q={i * 7}/0{i}",
        "tasks, status": lambda i: f"/tasks?status=unresolved&origin=debugging&page={1 + i * last // (5 * times)}",
        "tasks, attempts": lambda i: f"/tasks?attempts={1 + i % 5}&page={1 + i}",
        "tasks, verdict": lambda i: f"/tasks?failure=failed&page={1 + i * 10}",
        "tasks, exception": lambda i: f"/tasks?failure={ERRORS[i % 6]}&page={1 + i}",
        "tasks, all filters": lambda i: f"/tasks?failure={ERRORS[i % 6]}&status=passed&origin=debugging&attempts=3&q=m",
        "tasks, untried": lambda i: "/tasks?status=untried",
        "tasks, under way": lambda i: "/tasks?status=under+way",
        "pairs": lambda i: f"/pairs?page={1 + i * 20}",
        "pairs, kept": lambda i: f"/pairs?kept=kept&page={1 + i * 20}",
        "pairs, exception": lambda i: f"/pairs?failure={ERRORS[i % 6]}&page={1 + i}",
        "pairs, search": lambda i: f"/pairs?q={i * 7}/0{i}",
        "one task": lambda i: f"/task?id=made{1 + i}/{i * 79 % EACH:03d}",
        "one trajectory": lambda i: f"/trajectory?id=made{1 + i}/{i * 79 % EACH:03d}:debugging",
        "overview": lambda i: "/",
    }  # fmt: skip
    for name, address in pages.items():
        asked.get(address(0))
        took = []
        for i in range(times):
            began = time.perf_counter()
            answer = asked.get(address(i))
            took.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, (address(i), answer.status_code)
        cpu = time.process_time()
        asked.get(address(times - 1))
        cpu = (time.process_time() - cpu) * 1000
        print(f"{name:20} median {statistics.median(took):7.1f} ms, slowest {max(took):7.1f} ms, CPU {cpu:7.1f} ms")
    print(f"memory at its highest: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--run", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = chosen.run or Path(place) / "run"
        if not (run / "run.sqlite").is_file():
            with Store.open(run) as store:
                fill(store, EACH)
            copy_many(run / "run.sqlite", chosen.tasks // EACH)
        with Store.open(run, write=False) as store:
            tasks = store.count("tasks")
        measure(run, tasks, chosen.times)


if __name__ == "__main__":
    main()
