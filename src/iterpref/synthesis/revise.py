"""Tests that contradict their task → a new task with revised tests, linked to its parent; never an edit in place.

A test is suspect when different programs of one task, in its unresolved trajectories, give the same wrong value for the
same call. A model then judges whether the test contradicts the wording, and if so corrects the file. The correction
must keep every other test: models that may edit tests like to empty them. The new task is debugged like any other;
`pass_rates` tells what the revisions changed.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from iterpref.clients import Completion, Ledger, Request, Sampling, ask_all
from iterpref.errors import ClientError
from iterpref.opened_run import OpenedRun
from iterpref.programs import syntax_tree
from iterpref.prompts import json_answer, tagged
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import FailingCase, Task, TestFile, as_messages, fingerprint
from iterpref.store import Store
from iterpref.waiting import wait_for

DIFFERENT_PROGRAMS = 3


@dataclass
class RevisionProgress:
    """Counts of one round."""

    suspects: int = 0
    contradictions: int = 0
    revised: int = 0
    unusable: int = 0
    failed_calls: int = 0
    why_failed: str = ""


def revise_run(run: OpenedRun) -> RevisionProgress:
    """`revise_tests` of an opened run, by its judge; StoreError where nothing was debugged yet."""
    run.need(run.store.count("trajectories"), "trajectories", "iterpref debug makes them")
    prompts = run.prompts
    with run.judge_ledger() as ledger:
        return wait_for(revise_tests(run.store, ledger, prompts))


async def revise_tests(store: Store, ledger: Ledger, prompts: Prompts = SHIPPED) -> RevisionProgress:
    """Judge every suspect test and add the revised tasks.

    Raises:
        BudgetError, EndpointError: It must stop; what was answered is stored, and not asked for again.
    """
    found = list(suspects(store))
    progress = RevisionProgress(suspects=len(found))
    sampling = Sampling(temperature=0, max_tokens=4096)
    requests = [Request.from_user(_question(*suspect, prompts), sampling) for suspect in found]
    async for number, answer in ask_all(ledger, enumerate(requests)):
        if task := _revised(found[number][0], answer, progress):
            store.put_tasks([task])
            progress.revised += 1
    return progress


def _revised(task: Task, answer: Completion | ClientError, progress: RevisionProgress) -> Task | None:
    """The task that an answer makes of a suspect one; None if none, which is counted."""
    if isinstance(answer, ClientError):
        progress.failed_calls += 1
        progress.why_failed = progress.why_failed or str(answer)
        return None
    if (json_answer(answer.text.split("<file")[0]) or {}).get("contradicts") is not True:
        return None
    progress.contradictions += 1
    made = revised_task(task, answer.text)
    progress.unusable += made is None
    return made


def suspects(store: Store) -> Iterator[tuple[Task, FailingCase]]:
    """Tasks nobody solved, with the wrong value that the most programs agree on."""
    programs: dict[str, dict[FailingCase, set[str]]] = defaultdict(lambda: defaultdict(set))
    solved = set()
    for trajectory in store.trajectories():
        if trajectory.status == "passed":
            solved.add(trajectory.task_id)
        for attempt in trajectory.attempts:
            case = attempt.execution.failing_case
            if case is not None and case.got:
                programs[trajectory.task_id][case].add(attempt.program.strip())
    for task_id, cases in sorted(programs.items()):
        case, agreeing = max(cases.items(), key=lambda item: (len(item[1]), item[0].call, item[0].got))
        if task_id not in solved and len(agreeing) >= DIFFERENT_PROGRAMS:
            yield store.task(task_id), case


def revised_task(task: Task, reply: str) -> Task | None:
    """The task with the corrected file; None if the file is missing, unchanged, broken, or lost a test."""
    corrected = dict(tagged(reply, "file"))
    tests = tuple(TestFile(path=t.path, content=corrected[t.path]) if t.path in corrected else t for t in task.tests)
    before, after = _checks(task.style, task.tests), _checks(task.style, tests)
    if tests == task.tests or not after or len(after) < len(before) or len(set(before) - set(after)) > 1:
        return None
    task_id = f"{task.task_id}~{fingerprint([t.content for t in tests])[:8]}"
    changes = {"task_id": task_id, "tests": tests, "parent_task_id": task.task_id, "reference": None}
    return task.model_copy(update=changes)


def pass_rates(store: Store) -> dict[str, float | int]:
    """Share of the original tasks that were solved, without revisions, and counting those solved with revised tests."""
    parents = {task.task_id: task.parent_task_id for task in store.tasks()}
    tried, solved = set(), set()
    for trajectory in store.trajectories("debugging"):
        tried.add(trajectory.task_id)
        if trajectory.status == "passed":
            solved.add(trajectory.task_id)
    originals = {task_id for task_id in tried if not parents.get(task_id)}
    rescued = {parent for task_id in solved if (parent := parents.get(task_id)) in originals and parent not in solved}
    count = max(1, len(originals))
    return {
        "tasks": len(originals),
        "pass_rate": round(len(originals & solved) / count, 4),
        "pass_rate_with_revisions": round((len(originals & solved) + len(rescued)) / count, 4),
    }


def revision_summary(store: Store, progress: RevisionProgress) -> dict[str, float | int]:
    """What one round did, and the pass rates so far."""
    return asdict(progress) | pass_rates(store)


def _checks(style: str, tests: tuple[TestFile, ...]) -> list[str]:
    """The single tests, as text; none where a file can't be read."""
    found: list[str] = []
    for test in tests:
        if style in ("calls", "stdio"):
            found += [line.strip() for line in test.content.splitlines() if line.strip()]
        elif style == "doctest":
            found += [part.strip() for part in test.content.split(">>>")[1:]]
        else:
            try:
                tree = syntax_tree(test.content)
            except SyntaxError:
                return []
            found += [ast.unparse(node) for node in ast.walk(tree) if _is_check(node)]
    return found


def _is_check(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(node, ast.Assert) or (isinstance(called, ast.Attribute) and called.attr.startswith("assert"))


def _question(task: Task, case: FailingCase, prompts: Prompts = SHIPPED) -> str:
    return prompts.render(
        "judge_contradiction",
        task="\n\n".join(message.content for message in as_messages(task.prompt)),
        tests=task.tests,
        case=case,
    )
