"""Every model call is paid for once, within a budget: a cache between the stages and a client, in the run's store.

The key of a call is (client name, messages, sampling parameters with their seed, sample index). A call that was
answered before, in this process or in one that was killed, comes back from the store and costs nothing; of two equal
calls at the same time one is made.
A call that is refused, or given up, becomes a dead letter: it is not made again until somebody says so. A refusal is
about that call alone. When many calls in a row are given up, the endpoint is at fault: the stage is stopped, and those
calls are no dead letters.
A call reserves the most it can cost before it is made and pays what it did cost afterwards, so the budget is never
exceeded by calls in flight.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from pydantic import Field

from iterpref.clients.base import Client, ClientConfig, Completion, Price, Request
from iterpref.clients.before_loading import check_local
from iterpref.clients.local import LocalConfig
from iterpref.errors import BudgetError, ClientError, EndpointError, RefusedError
from iterpref.records import fingerprint
from iterpref.run_folder import weights_note
from iterpref.section import Section
from iterpref.store import Store

DEAD_IN_A_ROW = 8


class BudgetConfig(Section):
    """What calls to endpoints may cost, over the whole life of a run folder."""

    max_calls: int | None = Field(default=None, ge=0)
    """Answered calls; default: unbounded."""
    max_budget_usd: float | None = Field(default=None, ge=0)
    """US dollars by the prices of the clients; never exceeded, also by calls in flight."""


class Budget:
    """Spending of a run folder. Only answered calls count: an endpoint may also bill requests whose answer was lost."""

    def __init__(self, settings: BudgetConfig, store: Store) -> None:
        self._settings = settings
        self.calls, self.usd = store.spending()
        self._reserved_calls, self._reserved_usd = 0, 0.0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> None:
        """Set aside one call of at most so much; waits while calls in flight may still turn out cheaper.

        Raises:
            BudgetError: The budget can't hold this call.
        """
        while reason := self._exceeded(usd):
            if not self._reserved_calls or self.calls >= (self._settings.max_calls or float("inf")):
                raise BudgetError(
                    f"budget reached: {self.spent} on endpoints in this run; {reason}. "
                    "Raise it and run the same command again to continue"
                )
            self._settled.clear()
            await self._settled.wait()
        self._reserved_calls += 1
        self._reserved_usd += usd

    def settle(self, reserved: float, paid: float | None) -> None:
        """The call of a reservation is over; `paid` is None if it was not answered."""
        self._reserved_calls -= 1
        self._reserved_usd -= reserved
        if paid is not None:
            self.calls += 1
            self.usd += paid
        self._settled.set()

    @property
    def spent(self) -> str:
        """In words; where nothing was paid for any call, no prices are set."""
        return f"{self.calls} calls" + (f" and ${self.usd:.4f} spent" if self.usd else " (prices unknown)")

    def _exceeded(self, usd: float) -> str:
        most_calls, most_usd = self._settings.max_calls, self._settings.max_budget_usd
        if most_calls is not None and self.calls + self._reserved_calls + 1 > most_calls:
            return f"budget.max_calls is {most_calls}"
        if most_usd is not None and self.usd + self._reserved_usd + usd > most_usd:
            return f"budget.max_budget_usd is {most_usd:g}, and the next call may cost up to ${usd:.4f}"
        return ""


@dataclass(eq=False)
class Ledger:
    """Answer requests from the store, or from the client and then store the answer."""

    client: Client
    store: Store
    budget: Budget | None = None
    price: Price | None = None
    """What the client's calls cost; None: nothing, and no budget counts them."""
    at_a_time: int | None = 64
    """How many requests to ask together; None: all there are, as one wave."""
    since: int = 0
    """Answers stored up to this one (`Store.last_call`) are not taken: they are asked for again and replaced."""
    weights: str = ""
    """Follows the client's name where a server now serves other weights under it (`filed_under`)."""
    manner: Callable[[Request], str] = lambda request: ""
    """See `ClientConfig.manner`."""
    paid: int = field(default=0, init=False)
    cached: int = field(default=0, init=False)
    _in_flight: dict[str, asyncio.Task[Completion]] = field(default_factory=dict, init=False)
    _waiting: Counter[asyncio.Task[Completion]] = field(default_factory=Counter, init=False)
    _dead_in_a_row: list[str] = field(default_factory=list, init=False)

    @property
    def name(self) -> str:
        return self.client.name + self.weights

    def key(self, request: Request) -> str:
        """Identity of a call. Left out are `raw`, `healed` and `stop` at their defaults, and what greedy decoding
        ignores."""
        values = request.model_dump(mode="json")
        for name in ("raw", "healed"):
            if not values[name]:
                del values[name]
        if not request.sampling.stop:
            del values["sampling"]["stop"]
        if request.sampling.temperature == 0:
            del values["sampling"]["seed"], values["sample_index"]
        manner = self.manner(request)
        return fingerprint([self.name, values, manner] if manner else [self.name, values])

    async def complete(self, request: Request) -> tuple[str, Completion]:
        """The call's key and its completion; see `Client.complete`.

        Raises:
            BudgetError: The budget is used up.
            ClientError: This call can't be answered, now or when it was made before; EndpointError: none can.
        """
        key = self.key(request)
        stored = self.store.call(key, Completion, self.since)
        if stored is not None:
            self.cached += 1
            return key, stored
        if (died := self.store.dead_letter(key)) is not None:
            raise RefusedError(f"{died} [given up earlier; make such calls again with --retry-dead]")
        if key not in self._in_flight:
            self._in_flight[key] = asyncio.create_task(self._pay(key, request))
            self._in_flight[key].add_done_callback(partial(self._ended, key))
        return key, await self._answer(key, self._in_flight[key])

    async def _answer(self, key: str, call: asyncio.Task[Completion]) -> Completion:
        """Wait for a call, maybe with others. Whoever is the last to be stopped ends it, and waits for its end.

        A call left to the end of the event loop would be cancelled there with all that its HTTP client has begun, and
        anyio's tasks (4.16) don't survive that before their first step: each leaves a coroutine that nobody awaits.
        """
        self._waiting[call] += 1
        try:
            return await asyncio.shield(call)
        finally:
            self._waiting[call] -= 1
            if not self._waiting[call]:
                del self._waiting[call]
                if not call.done():
                    del self._in_flight[key]  # whoever asks from now on begins another
                    call.cancel()
                    await asyncio.wait([call])

    def takes(self, call_id: str) -> bool:
        """Whether what came of a call made before still stands: not where calls up to it are made again."""
        return not self.since or self.store.is_later(call_id, self.since)

    def _ended(self, key: str, call: asyncio.Task[Completion]) -> None:
        if self._in_flight.get(key) is call:
            del self._in_flight[key]
        if not call.cancelled():
            call.exception()  # read here: whoever waited may have been stopped by another call's error meanwhile

    async def _pay(self, key: str, request: Request) -> Completion:
        budget = self.budget if self.price else None
        most = self.price.most(request) if self.price else 0.0
        if budget:
            await budget.reserve(most)
        usd: float | None = None
        try:
            completion = await self.client.complete(request)
            usd = self.price.paid(completion) if self.price else None
            tokens = (completion.prompt_tokens, completion.completion_tokens)
            self.store.put_call(key, self.name, request.sample_index, tokens, usd, request, completion)
        except EndpointError:
            raise
        except ClientError as error:
            self._bury(key, request, error)
            raise
        finally:
            if budget:
                budget.settle(most, usd)
        self.paid += 1
        self._dead_in_a_row.clear()
        return completion

    def _bury(self, key: str, request: Request, error: ClientError) -> None:
        """Keep the call that died, unless it was given up as one of many."""
        if self.price is None:
            return  # a local model fails by its configuration, and trying again costs nothing
        self.store.put_dead_letter(key, self.name, str(error), request)
        if isinstance(error, RefusedError):
            return
        self._dead_in_a_row.append(key)
        if len(self._dead_in_a_row) >= DEAD_IN_A_ROW:
            self.store.forget_dead_letters(self._dead_in_a_row)
            raise EndpointError(
                f"{self.name}: the last {len(self._dead_in_a_row)} calls all failed; the last one: {error}. "
                "What was answered is stored; run the same command again when the endpoint works"
            ) from error


@contextmanager
def open_ledger(
    settings: ClientConfig, store: Store, budget: Budget | None = None, since: int = 0, raw: bool = False
) -> Iterator[Ledger]:
    """The client that `settings` asks for, behind the ledger of a run; `raw`: it will be asked bare text only.

    Raises:
        ClientError: It can't be opened, or a model in this process couldn't answer.
    """
    if isinstance(settings, LocalConfig):
        check_local(settings, raw)
    with settings.open(store.folder) as client:
        weights = filed_under(store, client.name, settings.weights())
        yield Ledger(client, store, budget, settings.price(), settings.at_a_time, since, weights, settings.manner)


def filed_under(store: Store, name: str, told: str | None) -> str:
    """What to add to a client's name for the weights that its server says it serves (`ClientConfig.weights`).

    Nothing for those of the run's earlier calls under the bare name, also if they were made before this was noted. A
    server that doesn't answer is taken to serve what it did last.
    """
    key = weights_note(name)
    note = store.note(key) or {}
    if told is None:
        told = note.get("last", "")
    if not told:
        return ""
    bare = note.get("bare") or (told if store.count_calls(name) else "none")
    store.put_note(key, {"bare": bare, "last": told})
    return "" if told == bare else f":{told}"
