"""GRPO's programs from the package's own decoding, through TRL's `rollout_func`.

transformers' `generate` computes every row until the longest has ended; here rows leave when they end, and the samples
of a prompt share its states. The engine exchanges a model's attention, so it has a network of its own, which takes the
trained weights before each batch. A draw depends on the seed, the batch and the place in it alone.
TRL calls the hook experimental; `grpo.py` is for TRL 1.16, as the package's trainer is.
"""

import random
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM

from iterpref.clients.local.probe import decoder
from iterpref.clients.local.row import DecodingRow
from iterpref.errors import ConfigError

from .arm import Spent

SLAB_TOKENS = 1 << 15  # rows at once, times the longest of them


class Rollouts:
    """Prompts as messages → their tokens and those of an answer to each; counts what it makes."""

    def __init__(
        self, model: Path, tokenizer: Any, device: str, seed: int, temperature: float, max_tokens: int
    ) -> None:
        self._network = AutoModelForCausalLM.from_pretrained(model, dtype="float32").to(device).eval()
        self._tokenizer, self._seed = tokenizer, seed
        self._temperature, self._max_tokens = temperature, max_tokens
        ends = self._network.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends]) - {None} or {tokenizer.eos_token_id}
        self._positions = getattr(self._network.config, "max_position_embeddings", None) or 1 << 30
        self._kind = type(decoder(self._network, 8, SLAB_TOKENS))
        self._batches = 0
        self.spent = Spent()

    def __call__(self, prompts: list[Any], trainer: Any) -> dict[str, Any]:
        """As TRL asks: each prompt as often as its group is large."""
        self._network.load_state_dict(trainer.accelerator.unwrap_model(trainer.model).state_dict())
        draws = random.Random(f"{self._seed}:{self._batches}")
        rows = [self._row(prompt, draws.getrandbits(60)) for prompt in prompts]
        decoding = self._kind(self._network, len(rows), SLAB_TOKENS)  # a new one: the last knows states of old weights
        for row in rows:
            decoding.add(row)
        while decoding.busy:
            decoding.step()
        self._batches += 1
        prompt_tokens = sum(row.prompt_tokens for row in rows)
        made = sum(len(row.new) for row in rows)
        self.spent += Spent(programs=len(rows), prompt_tokens=prompt_tokens, completion_tokens=made)
        return {
            "prompt_ids": [row.tokens[: row.prompt_tokens] for row in rows],
            "completion_ids": [row.new for row in rows],
            "logprobs": None,  # TRL reads them where another engine's numbers may differ from its own
        }

    def _row(self, prompt: Any, seed: int) -> DecodingRow:
        text = self._tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        tokens = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        room = self._positions - len(tokens)
        if room < 1:
            raise ConfigError(
                f"grpo: a prompt of {len(tokens)} tokens fills the model's {self._positions} positions; it begins with "
                f"{text[:80]!r}. Leave the task out"
            )
        limit = min(self._max_tokens, room)
        return DecodingRow(list(tokens), limit, frozenset(self._ends), seed=seed, temperature=self._temperature)
