"""Tables of what costs time or money: model calls, calls that were given up, executions. None is made twice.

In: keys that fingerprint everything that a result depends on. Out: the stored result, or None.
Not here: making the keys (`clients.ledger`, `executor`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from iterpref.records import Execution, Record

from .tables import R, Tables


class ClientCosts(NamedTuple):
    """Answered calls of one client; `usd` is None where no budget counts them."""

    client: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


class Calls(Tables):
    """What was paid for."""

    def put_call(self, key: str, client: str, sample_index: int, tokens: tuple[int, int], usd: float | None,
                 request: Record, completion: Record) -> None:  # fmt: skip
        """One answered model call; `tokens` are (prompt, completion), `usd` is None where no budget counts it."""
        row = (key, client, sample_index, *tokens, usd, self._pack(request), self._pack(completion))
        with self._writing():
            self._connection.execute("DELETE FROM dead_letters WHERE key = ?", (key,))
            self._insert("calls", *row)

    def call(self, key: str, kind: type[R], since: int = 0) -> R | None:
        """The completion stored for a call key, later than call `since`."""
        return self._get(kind, "SELECT completion FROM calls WHERE key = ? AND rowid > ?", key, since)

    def calls(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each answered call in the order they came: its request, and its completion."""
        for request, completion in self._rows("SELECT request, completion FROM calls ORDER BY rowid"):
            yield self._unpack_json(request), self._unpack_json(completion)

    def last_call(self) -> int:
        """Number of the call stored last; one that is stored in place of another gets a number of its own."""
        return int(self._one("SELECT coalesce(max(rowid), 0) FROM calls")[0])

    def is_later(self, key: str, since: int) -> bool:
        """Whether a call was stored later than call `since`."""
        return self._one("SELECT 1 FROM calls WHERE key = ? AND rowid > ?", key, since) is not None

    def spending(self) -> tuple[int, float]:
        """Answered calls to endpoints, and what they cost in US dollars."""
        row = self._one("SELECT count(usd), total(usd) FROM calls")
        return int(row[0]), float(row[1])

    def costs(self) -> list[ClientCosts]:
        """What each client answered, the busiest first."""
        query = (
            "SELECT client, count(*), sum(prompt_tokens), sum(completion_tokens), sum(usd) FROM calls "
            "GROUP BY client ORDER BY 2 DESC, 1"
        )
        return [ClientCosts(*row) for row in self._rows(query)]

    def mean_tokens(self) -> tuple[float, float] | None:
        """Prompt and completion tokens of an average call to an endpoint; None before the first."""
        row = self._one("SELECT avg(prompt_tokens), avg(completion_tokens) FROM calls WHERE usd IS NOT NULL")
        return None if row[0] is None else (float(row[0]), float(row[1]))

    def calls_of(self, origin: str) -> tuple[int, int, int, float | None]:
        """The calls behind the trajectories of an origin: how many, their prompt and completion tokens, and US dollars,
        None where no call was priced."""
        query = (
            "SELECT count(*), total(c.prompt_tokens), total(c.completion_tokens), sum(c.usd) FROM calls c "
            "WHERE c.key IN (SELECT json_extract(a.record, '$.call_id') FROM attempts a "
            "JOIN trajectories t USING (trajectory_id) WHERE t.origin = ?)"
        )
        count, prompt, completion, usd = self._one(query, origin)
        return int(count), int(prompt), int(completion), None if usd is None else float(usd)

    def put_dead_letter(self, key: str, client: str, error: str, request: Record) -> None:
        """A call that was given up, and why."""
        self._put("dead_letters", key, client, error, self._pack(request))

    def dead_letter(self, key: str) -> str | None:
        """Why a call was given up; None if it was not."""
        row = self._one("SELECT error FROM dead_letters WHERE key = ?", key)
        return str(row[0]) if row else None

    def last_dead_letter(self) -> str:
        """Why the call that was given up last was; "" where none was."""
        row = self._one("SELECT error FROM dead_letters ORDER BY rowid DESC LIMIT 1")
        return str(row[0]) if row else ""

    def forget_dead_letters(self, keys: Iterable[str] | None = None) -> int:
        """Let calls be made again, these or all; returns how many."""
        with self._writing():
            if keys is None:
                return self._connection.execute("DELETE FROM dead_letters").rowcount
            values = [(key,) for key in keys]
            return self._connection.executemany("DELETE FROM dead_letters WHERE key = ?", values).rowcount

    def put_execution(self, key: str, execution: Execution) -> None:
        self._put("executions", key, execution.verdict, self._pack(execution))

    def execution(self, key: str) -> Execution | None:
        return self._get(Execution, "SELECT record FROM executions WHERE key = ?", key)
