"""What calls to endpoints may cost, in calls and in US dollars, over the whole life of a run folder.

A call reserves the most it can cost before it is made and pays what it did cost afterwards, so the budget is never
exceeded by calls in flight. Only answered calls are counted: an endpoint may also bill requests whose answer was lost.
"""

import asyncio

from pydantic import Field

from iterpref.errors import BudgetError
from iterpref.section import Section
from iterpref.store import Store


class BudgetConfig(Section):
    """What calls to endpoints may cost, over the whole life of the run folder."""

    max_calls: int | None = Field(default=None, ge=0)
    """Answered calls; default: unbounded."""
    max_budget_usd: float | None = Field(default=None, ge=0)
    """US dollars by the prices of the clients; never exceeded, also by calls in flight."""


class Budget:
    """Spending of one run folder, shared by its clients."""

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
                    f"budget reached: {self.calls} calls and ${self.usd:.4f} spent on endpoints in this run; {reason}. "
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

    def _exceeded(self, usd: float) -> str:
        most_calls, most_usd = self._settings.max_calls, self._settings.max_budget_usd
        if most_calls is not None and self.calls + self._reserved_calls + 1 > most_calls:
            return f"budget.max_calls is {most_calls}"
        if most_usd is not None and self.usd + self._reserved_usd + usd > most_usd:
            return f"budget.max_budget_usd is {most_usd:g}, and the next call may cost up to ${usd:.4f}"
        return ""
