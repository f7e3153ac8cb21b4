"""LiveCodeBench's questions to a model, and which part of the reply is the program.

The words are those of its runner's prompts for code generation at commit 28fef95 (MIT, Copyright (c) 2024
LiveCodeBench): the generic question, which chat models get that have no form of their own there, and the one-shot form
for base models. The one-shot example is ours: theirs repeats problems of LeetCode and Codeforces,
which that licence doesn't cover.
"""

from typing import Literal

from iterpref.records import Message, Task, as_messages

_SYSTEM = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)
_WITH_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
_FROM_STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the "
    "inputs, runs the algorithm and writes output to STDOUT."
)
_QUESTION, _FORMAT, _FENCE = "### Question:\n", "\n\n### Format: ", "```python\n"
_ANSWER = "\n```\n\n### Answer: (use the provided format with backticks)\n\n"
_EMPTY = "# YOUR CODE HERE"

# Question, starter code, answer.
_EXAMPLE_FUNCTION = (
    """\
Given a list of integers nums and an integer k, return how many pairs of indices i < j have the sum k.

Example 1:

Input: nums = [1,3,2,2], k = 4
Output: 2
Explanation: 1 + 3 and 2 + 2.

Constraints:

1 <= nums.length <= 1000""",
    """\
class Solution:
    def countPairs(self, nums: List[int], k: int) -> int:
        """,
    """\
class Solution:
    def countPairs(self, nums: List[int], k: int) -> int:
        seen = Counter()
        pairs = 0
        for number in nums:
            pairs += seen[k - number]
            seen[number] += 1
        return pairs""",
)
_EXAMPLE_SCRIPT = (
    """\
A row of n lamps is switched m times: the i-th time all lamps from l_i to r_i change. How many lamps are on at the end,
if all were off at first?

Input

The first line contains n and m (1 <= n, m <= 10^5), each of the next m lines l_i and r_i.

Output

One integer.

Example

Input
4 2
1 3
2 4

Output
2""",
    "",
    """\
def main():
    n, m = map(int, input().split())
    changes = [0] * (n + 2)
    for _ in range(m):
        left, right = map(int, input().split())
        changes[left] += 1
        changes[right + 1] -= 1
    lit = times = 0
    for lamp in range(1, n + 1):
        times += changes[lamp]
        lit += times % 2
    print(lit)


main()
""",
)


def question(content: str, starter: str) -> tuple[Message, ...]:
    """A problem as chat models are asked about it."""
    form, code = (_WITH_STARTER, starter) if starter else (_FROM_STDIN, _EMPTY)
    asked = f"{_QUESTION}{content}{_FORMAT}{form}\n{_FENCE}{code}{_ANSWER}"
    return Message(role="system", content=_SYSTEM), Message(role="user", content=asked)


def one_shot(task: Task) -> str:
    """The same problem as base models continue it: after an example with its answer."""
    asked = as_messages(task.prompt)[-1].content
    content, _, rest = asked.removeprefix(_QUESTION).rpartition(_FORMAT)
    starter = rest.partition(_FENCE)[2].removesuffix(_ANSWER)
    with_starter = rest.startswith(_WITH_STARTER)
    example = _EXAMPLE_FUNCTION if with_starter else _EXAMPLE_SCRIPT
    return _shown(*example) + "\n\n" + _shown(content, starter if with_starter else "", "")


def _shown(content: str, starter: str, answer: str) -> str:
    before = f"### Starter Code\n{starter}\n\n" if starter else ""
    return f"### Question\n{content}\n\n{before}### Answer\n\n{answer}"


def program_in(task: Task, reply: str, protocol: Literal["plain", "chat", "base"]) -> str:
    """What stands between the last two lines with a fence, "" without two; of a base model all of it."""
    if protocol == "base":
        return reply.strip()
    lines = reply.split("\n")
    fences = [number for number, line in enumerate(lines) if "```" in line]
    return "\n".join(lines[fences[-2] + 1 : fences[-1]]) if len(fences) > 1 else ""
