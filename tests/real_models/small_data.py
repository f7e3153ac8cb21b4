"""Playground tasks in the files of MBPP, HumanEval+ and MBPP+, so that the toy coder can do a whole experiment."""

import ast
import json
from pathlib import Path

from iterpref.playground.tasks import playground_tasks
from iterpref.records import Task


def write_data(folder: Path, tasks: int) -> dict[str, str]:
    """So many tasks in MBPP's training and validation split and in each benchmark; environment that names the files."""
    folder.mkdir(parents=True, exist_ok=True)
    train, validation, held_out = (
        playground_tasks("train", tasks),
        playground_tasks("validation", tasks),
        [task for task in playground_tasks("held_out", 12 * tasks) if _plain(task)][: 2 * tasks],
    )
    mbpp = [_mbpp(number, task) for first, part in ((511, validation), (601, train))
            for number, task in enumerate(part, first)]  # fmt: skip
    # Numbers whose inputs EvalPlus's data leaves as they are.
    files = {
        "ITERPREF_MBPP_FULL_PATH": mbpp,
        "ITERPREF_HUMANEVAL_PLUS_PATH": [_plus(f"HumanEval/{i}", t) for i, t in enumerate(held_out[:tasks])],
        "ITERPREF_MBPP_PLUS_PATH": [_plus(f"Mbpp/{i}", t) for i, t in enumerate(held_out[tasks:], 12)],
    }
    names = {}
    for variable, rows in files.items():
        path = folder / f"{variable.lower()}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        names[variable] = str(path)
    return names


def _calls(task: Task) -> list[tuple[str, str]]:
    """Arguments and expected value of each call, as source."""
    rows = [json.loads(line) for line in task.tests[0].content.splitlines()]
    return [(row["args"], row["expected"]) for row in rows]


def _plain(task: Task) -> bool:
    """Whether JSON holds its arguments as they are."""
    arguments = [ast.literal_eval(args) for args, _ in _calls(task)]
    return all(json.loads(json.dumps(list(values))) == list(values) for values in arguments)


def _mbpp(number: int, task: Task) -> dict[str, object]:
    asserts = [f"assert solve(*{args}) == {expected}" for args, expected in _calls(task)]
    return {"task_id": number, "text": task.prompt, "code": task.reference, "test_list": asserts, "test_setup_code": ""}


def _plus(task_id: str, task: Task) -> dict[str, object]:
    inputs = [list(ast.literal_eval(args)) for args, _ in _calls(task)]
    return {"task_id": task_id, "prompt": f'"""\n{task.prompt}\n"""\n', "entry_point": "solve", "atol": 0,
            "canonical_solution": task.reference, "base_input": inputs[:3], "plus_input": inputs[3:]}  # fmt: skip
