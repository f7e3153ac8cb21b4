"""Every model call is paid for once: a cache between the stages and a client, kept in the run's store.

The key of a call is (client name, messages, sampling parameters with their seed, sample index). A call that was
answered before, in this process or in one that was killed, comes back from the store and costs nothing; of two equal
calls at the same time one is made.
A call that the client gave up becomes a dead letter: it is not made again until somebody says so. When many calls in a
row die, the endpoint is at fault: the stage is stopped, and those calls are no dead letters.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from iterpref.clients.base import Client, ClientConfig, Completion, Price, Request
from iterpref.clients.budget import Budget
from iterpref.errors import ClientError, EndpointError
from iterpref.records import fingerprint
from iterpref.store import Store

DEAD_IN_A_ROW = 8


class Ledger:
    """Answer requests from the store, or from the client and then store the answer.

    Args:
        price: What the client's calls cost; None: nothing, and no budget counts them.
        at_a_time: How many requests to ask together; None: all there are, as one wave.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        budget: Budget | None = None,
        price: Price | None = None,
        at_a_time: int | None = 64,
    ) -> None:
        self._client = client
        self._store = store
        self._budget = budget if price else None
        self._price = price
        self.at_a_time = at_a_time
        self._in_flight: dict[str, asyncio.Task[Completion]] = {}
        self._dead_in_a_row: list[str] = []
        self.paid = 0
        self.cached = 0

    @property
    def name(self) -> str:
        return self._client.name

    def key(self, request: Request) -> str:
        """Identity of a call. Left out are `raw` and `stop` at their defaults, and what greedy decoding ignores."""
        values = request.model_dump(mode="json")
        if not request.raw:
            del values["raw"]
        if not request.sampling.stop:
            del values["sampling"]["stop"]
        if request.sampling.temperature == 0:
            del values["sampling"]["seed"], values["sample_index"]
        return fingerprint([self.name, values])

    async def complete(self, request: Request) -> tuple[str, Completion]:
        """The call's key and its completion; see `Client.complete`.

        Raises:
            BudgetError: The budget is used up.
            EndpointError: The endpoint answers nothing.
            ClientError: This call can't be answered, now or when it was made before.
        """
        key = self.key(request)
        stored = self._store.call(key, Completion)
        if stored is not None:
            self.cached += 1
            return key, stored
        if (died := self._store.dead_letter(key)) is not None:
            raise ClientError(f"{died} [given up earlier; make such calls again with --retry-dead]")
        if key not in self._in_flight:
            self._in_flight[key] = asyncio.create_task(self._pay(key, request))
            self._in_flight[key].add_done_callback(lambda _: self._in_flight.pop(key))
        return key, await asyncio.shield(self._in_flight[key])

    async def _pay(self, key: str, request: Request) -> Completion:
        most = self._price.most(request) if self._price else 0.0
        if self._budget:
            await self._budget.reserve(most)
        usd: float | None = None
        try:
            completion = await self._client.complete(request)
            usd = self._price.paid(completion) if self._price else None
            tokens = (completion.prompt_tokens, completion.completion_tokens)
            self._store.put_call(key, self.name, request.sample_index, tokens, usd, request, completion)
        except EndpointError:
            raise
        except ClientError as error:
            self._bury(key, request, error)
            raise
        finally:
            if self._budget:
                self._budget.settle(most, usd)
        self.paid += 1
        self._dead_in_a_row.clear()
        return completion

    def _bury(self, key: str, request: Request, error: ClientError) -> None:
        """Keep the call that died, unless it is one of many."""
        if self._price is None:
            return  # a local model fails by its configuration, and trying again costs nothing
        self._store.put_dead_letter(key, self.name, str(error), request)
        self._dead_in_a_row.append(key)
        if len(self._dead_in_a_row) >= DEAD_IN_A_ROW:
            self._store.forget_dead_letters(self._dead_in_a_row)
            raise EndpointError(
                f"{self.name}: the last {len(self._dead_in_a_row)} calls all failed; the last one: {error}. "
                "What was answered is stored; run the same command again when the endpoint works"
            ) from error


@contextmanager
def open_ledger(settings: ClientConfig, store: Store, budget: Budget | None = None) -> Iterator[Ledger]:
    """The client that `settings` asks for, behind the ledger of a run.

    Raises:
        ClientError: The client can't be opened.
    """
    with settings.open(store.folder) as client:
        yield Ledger(client, store, budget, settings.price(), settings.at_a_time)
