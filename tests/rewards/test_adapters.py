"""The same rewards under the signatures of four trainers."""

import asyncio
import inspect
import json
from collections.abc import Iterator

import pytest

from iterpref.rewards import CodeReward
from iterpref.sandbox import Sandbox

DOUBLE, TRIPLE = (f"```python\ndef double(x):\n    return {n} * x\n```" for n in (2, 3))
TESTS = ["assert double(2) == 4", "assert double(0) == 0"]


@pytest.fixture(scope="module")
def reward() -> Iterator[CodeReward]:
    with Sandbox(workers=2) as sandbox:
        yield CodeReward(sandbox=sandbox)


def test_trl_passes_columns_as_lists_and_what_is_none(reward: CodeReward) -> None:
    logged: dict[str, float] = {}
    found = reward(
        prompts=["Double it."] * 2,
        completions=[DOUBLE, TRIPLE],
        completion_ids=[[1, 2], [3]],
        tests=[TESTS, TESTS],
        trainer_state=object(),
        log_metric=logged.__setitem__,
        log_extra=print,
    )
    assert found == [1.0, 0.0]
    assert (logged["code_reward/runs"], logged["code_reward/passed"], logged["code_reward/late"]) == (2, 1, 0)
    assert reward.__name__ == "code_reward" and not inspect.iscoroutinefunction(reward)


def test_verl_asks_for_one(reward: CodeReward) -> None:
    assert list(inspect.signature(reward.compute_score).parameters) == [
        "data_source", "solution_str", "ground_truth", "extra_info",
    ]  # fmt: skip
    asked = {"data_source": "mbpp", "solution_str": DOUBLE, "extra_info": {"index": 3}}
    for tests in (TESTS, json.dumps(TESTS), "\n".join(TESTS)):
        assert reward.compute_score(**asked, ground_truth=tests) == {"score": 1.0, "no_verdict": 0.0}
    check = "def check(f):\n    assert f(2) == 4\n"
    assert reward.compute_score("he", TRIPLE, check, {"entry_point": "double"})["score"] == 0.0


def test_openrlhf_asks_with_prompt_and_answer_in_one(reward: CodeReward) -> None:
    labels = [json.dumps(TESTS), json.dumps({"test_list": TESTS, "entry_point": "double"})]
    found = reward.reward_func(["Double it. " + DOUBLE, "It. " + TRIPLE], ["Double it. ", "It. "], labels)
    assert found["rewards"].tolist() == found["scores"].tolist() == [1.0, 0.0]
    assert found["extra_logs"]["no_verdict"].tolist() == [0.0, 0.0]


def test_verifiers_asks_by_the_names_of_arguments(reward: CodeReward) -> None:
    chat = [{"role": "assistant", "content": DOUBLE}]

    async def all_at_once() -> list[float]:
        return await asyncio.gather(
            reward.rubric_score(completion=chat, answer="\n".join(TESTS)),
            reward.rubric_score(completion=chat, answer="", info={"tests": TESTS}),
            reward.rubric_score(completion=TRIPLE, answer="", info=json.dumps({"tests": TESTS})),
        )

    assert asyncio.run(all_at_once()) == [1.0, 1.0, 0.0]


def test_verifiers_scores_a_rollout(reward: CodeReward) -> None:
    vf = pytest.importorskip("verifiers", reason="verifiers is not installed")
    if not hasattr(vf, "Rubric"):
        pytest.skip(f"verifiers {vf.__version__} has no Rubric")

    async def scored(completion: str, **given: object) -> float:
        state = vf.State(prompt="", completion=[{"role": "assistant", "content": completion}], **given)
        state["timing"] = vf.types.RolloutTiming()
        await vf.Rubric(funcs=[reward.rubric_score]).score_rollout(state)
        return float(state["reward"])

    assert asyncio.run(scored(DOUBLE, answer="\n".join(TESTS))) == 1.0
    assert asyncio.run(scored(DOUBLE, info={"tests": TESTS})) == 1.0
    assert asyncio.run(scored(TRIPLE, info={"tests": TESTS})) == 0.0


def test_a_named_column_holds_for_every_trainer(reward: CodeReward) -> None:
    with Sandbox(workers=1) as sandbox:
        named = CodeReward(columns={"tests": "checks"}, sandbox=sandbox)
        assert named.compute_score("x", DOUBLE, TESTS)["score"] == 1.0
        labels = [json.dumps(TESTS), json.dumps({"checks": TESTS})]
        assert named.reward_func([DOUBLE] * 2, [""] * 2, labels)["rewards"].tolist() == [1.0, 1.0]
        assert asyncio.run(named.rubric_score(completion=DOUBLE, info={"checks": TESTS})) == 1.0
        assert named(["x"], [DOUBLE], checks=[TESTS]) == [1.0]
