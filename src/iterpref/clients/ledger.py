"""Every model call is paid for once: a cache between the stages and a client, kept in the run's store.

The key of a call is (client name, messages, sampling parameters with their seed, sample index). A call that was
answered before, in this process or in one that was killed, comes back from the store and costs nothing; of two equal
calls at the same time one is made.
Not here: budgets and concurrency limits, which come with the first client that costs money.
"""

import asyncio

from iterpref.clients.base import Client, Completion, Request
from iterpref.records import fingerprint
from iterpref.store import Store


class Ledger:
    """Answer requests from the store, or from the client and then store the answer."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client = client
        self._store = store
        self._in_flight: dict[str, asyncio.Task[Completion]] = {}
        self.paid = 0
        self.cached = 0

    @property
    def name(self) -> str:
        return self._client.name

    def key(self, request: Request) -> str:
        """Identity of a call. Greedy decoding ignores the seed and the sample index, so they are left out then."""
        values = request.model_dump(mode="json")
        if request.sampling.temperature == 0:
            del values["sampling"]["seed"], values["sample_index"]
        return fingerprint([self.name, values])

    async def complete(self, request: Request) -> tuple[str, Completion]:
        """The call's key and its completion; see `Client.complete`."""
        key = self.key(request)
        stored = self._store.call(key, Completion)
        if stored is not None:
            self.cached += 1
            return key, stored
        if key not in self._in_flight:
            self._in_flight[key] = asyncio.create_task(self._pay(key, request))
            self._in_flight[key].add_done_callback(lambda _: self._in_flight.pop(key))
        return key, await asyncio.shield(self._in_flight[key])

    async def _pay(self, key: str, request: Request) -> Completion:
        completion = await self._client.complete(request)
        tokens = (completion.prompt_tokens, completion.completion_tokens)
        self._store.put_call(key, self.name, request.sample_index, tokens, request, completion)
        self.paid += 1
        return completion
