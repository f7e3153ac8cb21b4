"""One text in the making, and guesses of what comes next in it.

A repair mostly repeats the program before it, and a long answer repeats itself. So what followed the same tokens
earlier in a row is a guess, and one step can check several, as in prompt lookup decoding (Saxena 2023). Here the draw
of a place is fixed by request and place (`draw.py`), so that a guess is right or wrong and the text the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from iterpref.clients.local.draw import Draw

_GRAM = 3  # tokens that must be the same
_TRIED = 32  # earlier places, the latest
_TRUSTED = 4  # tokens that are guessed at first
_REMEMBERED = 0.9  # of what is known of a row's guesses, after one more


@dataclass(eq=False)
class DecodingRow:
    """One text in the making. `tokens` begins with the prompt; it ends with one of `ends`, at `limit` new tokens, or
    when `over` says so of its new tokens. `allowed` says which tokens may follow these new ones, None
    that any may (`spelling.py`)."""

    tokens: list[int]
    limit: int
    ends: frozenset[int]
    over: Callable[[Sequence[int]], bool] | None = None
    allowed: Callable[[Sequence[int]], Sequence[int] | None] | None = None
    drawn_anew: str = ""
    """The text that the first new tokens only spell again."""
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    prompt_tokens: int = field(init=False)
    computed: int = field(default=0, init=False)
    """Tokens whose states are in the slab."""
    slot: int = field(default=-1, init=False)
    ended: bool = field(default=False, init=False)
    _guesses: "Guesses" = field(default_factory=lambda: Guesses(), init=False)

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.tokens)

    @property
    def new(self) -> list[int]:
        return self.tokens[self.prompt_tokens :]

    @property
    def left(self) -> int:
        """Tokens that it may still get."""
        return self.limit - (len(self.tokens) - self.prompt_tokens)

    def guess(self, most: int, worth: float = 0.0) -> list[int]:
        """At most so many of its next tokens; none where nothing like its end came earlier, or where a smaller share
        of its guesses than `worth` proved right."""
        if self._allowed(()) is not None:
            return []
        return self._guesses.after(self.tokens, min(most, self.left - 1)) if self._guesses.right >= worth else []

    def draw(self, ahead: int = 0, between: Sequence[int] = ()) -> Draw:
        """How the next token is drawn, or one so far ahead of it; `between`: the tokens before that, where known."""
        return Draw(self.seed, self.temperature, self.top_p, len(self.tokens) + ahead, self._allowed(between))

    def _allowed(self, between: Sequence[int]) -> Sequence[int] | None:
        return self.allowed([*self.new, *between]) if self.allowed else None

    def take(self, drawn: Sequence[int], guessed: Sequence[int]) -> int:
        """Grow by the tokens drawn, as far as those before them were guessed rightly; returns how many these are."""
        for made, token in enumerate(drawn, 1):
            self.grow(token)
            if self.ended or made > len(guessed) or token != guessed[made - 1]:
                break
        if guessed:
            self._guesses.learn(made - 1, len(guessed))
        return made

    def grow(self, token: int) -> None:
        self.tokens.append(token)
        self.ended = self.left <= 0 or token in self.ends or (self.over is not None and self.over(self.new))


class Guesses:
    """What followed a row's last tokens when they came before; longer ones while they prove right."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, ...], list[int]] = {}
        self._read = _GRAM
        self._trusted = _TRUSTED
        self.right = 1.0
        """Share of the guesses that proved right, later ones weighing more."""

    def after(self, tokens: Sequence[int], most: int) -> list[int]:
        for place in range(self._read, len(tokens)):
            self._places.setdefault(tuple(tokens[place - _GRAM : place]), []).append(place)
        self._read = max(self._read, len(tokens))
        places = self._places.get(tuple(tokens[-_GRAM:]), [])[-_TRIED:]
        best = max(places, key=lambda place: (_alike(tokens, place), place), default=len(tokens))
        count = min(most, self._trusted) if best < len(tokens) else 0
        circle = tokens[best:]  # what is guessed beyond the row's end goes round
        return [circle[ahead % len(circle)] for ahead in range(count)]

    def learn(self, right: int, guessed: int) -> None:
        self.right += (right / guessed - self.right) * (1 - _REMEMBERED**guessed)
        self._trusted = 2 * guessed if right == guessed else max(1, right)


def _alike(tokens: Sequence[int], place: int) -> int:
    """How many tokens before `place` are the row's last ones, up to 16."""
    last = len(tokens)
    return next((n for n in range(_GRAM, 16) if n >= place or tokens[place - 1 - n] != tokens[last - 1 - n]), 16)
