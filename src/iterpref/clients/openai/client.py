"""Any OpenAI-compatible endpoint: vLLM, SGLang, Ollama, `transformers serve`, gateways, hosted models.

Chat requests go to `chat/completions`, a begun turn of the assistant included (`client.prefill`), raw ones to
`completions`. Stop texts also cut here, for servers that ignore or don't take them.
Several addresses of one model share the load, each with connections and a limit of its own (connections.py). The key
comes from the environment variable that the configuration names, and is cut out of every message.
"""

import asyncio
import logging
import os
import time
import warnings
from collections.abc import Mapping, Sequence, Set
from typing import Any

import openai

from iterpref.clients.activity import Activity
from iterpref.clients.base import Completion, Request
from iterpref.clients.meter import Meter
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.connections import Endpoint
from iterpref.clients.openai.failures import STOP, FailedRequest, Meaning, backoff, classify, without_key
from iterpref.clients.openai.reply import BadReply, read_reply
from iterpref.errors import ClientError, EndpointError, RefusedError
from iterpref.records import fingerprint

logger = logging.getLogger(__name__)
UNREACHED_ATTEMPTS = 5
MOST_STOPS = 4  # stop texts that OpenAI and vLLM take
_MANY_STOPS = f"more than {MOST_STOPS} stop texts"
TELL_S, TELL_UNREACHED_S = 10.0, 1.5  # least time between two words on retries


class OpenAIClient:
    """Completions of one model from one or more addresses."""

    def __init__(self, settings: OpenAIConfig) -> None:
        self._model = settings.model
        self._settings = settings
        self._secret = os.environ.get(settings.api_key_env, "")
        self._endpoints = [Endpoint(url, settings, self._secret) for url in settings.urls]
        self._omitted = set(settings.omit)
        self._reached = False  # whether anything ever answered, be it with an error
        self._told_at = 0.0
        self._meter, self._tokens = Meter(), 0
        self.name = settings.known_as

    async def complete(self, request: Request) -> Completion:
        self._meter.asked += 1
        try:
            completion = await self._answer(request)
        except BaseException:
            self._meter.asked -= 1
            raise
        self._meter.answered += 1
        self._tokens += completion.completion_tokens
        return completion

    def activity(self) -> Activity | None:
        """Calls under way, and those that wait for their turn."""
        running = sum(endpoint.limiter.in_flight for endpoint in self._endpoints)
        return self._meter.activity(self._tokens, running, self._meter.asked - self._meter.answered - running)

    async def _answer(self, request: Request) -> Completion:
        attempts, started = 0, time.monotonic()
        while True:
            endpoint = min(self._endpoints, key=lambda e: (e.rests, e.limiter.load))
            outcome, body = await self._once(endpoint, request)
            if isinstance(outcome, Completion):
                return outcome
            failure = outcome
            self._reached |= not failure.unreached
            if failure.meaning is Meaning.PARAMETER and self._leave_out(failure, body):
                continue
            if failure.meaning not in (Meaning.TRANSIENT, Meaning.THROTTLED):
                raise self._final(endpoint, failure, attempts + 1)
            if failure.of_server and self._another_than(endpoint):
                self._tell(endpoint, failure, attempts, 0.0)
                continue
            attempts += failure.meaning is Meaning.TRANSIENT
            # What a throttling endpoint asks for is waited out in the limiter, by all requests together.
            wait = 0.0 if failure.wait_s is not None else backoff(attempts)
            late = time.monotonic() + (failure.wait_s or wait) > started + self._settings.give_up_s
            if late or attempts >= self._most_attempts:
                raise self._final(endpoint, failure, attempts)
            self._tell(endpoint, failure, attempts, failure.wait_s or wait)
            await asyncio.sleep(wait)

    def _another_than(self, endpoint: Endpoint) -> bool:
        """Whether another address can be asked at once, now that this one's server failed; it is no attempt then."""
        endpoint.failed()
        return not all(e.rests for e in self._endpoints)

    @property
    def _most_attempts(self) -> int:
        """Fewer while nothing ever answered: then it is the address that is wrong, or a server not started."""
        if self._reached:
            return self._settings.max_attempts
        return 1 if self._lacks_key else min(self._settings.max_attempts, UNREACHED_ATTEMPTS)

    @property
    def _lacks_key(self) -> bool:
        """No key, for a server that very likely wants one."""
        return not self._secret and self._settings.urls[0].startswith("https://")

    def _tell(self, endpoint: Endpoint, failure: FailedRequest, attempts: int, wait_s: float) -> None:
        """Say that a call is tried again; of many at the same time only the first."""
        now = time.monotonic()
        if now - self._told_at < (TELL_UNREACHED_S if failure.unreached else TELL_S):
            return
        self._told_at = now
        attempt = f", attempt {attempts} of {self._most_attempts}" if failure.meaning is Meaning.TRANSIENT else ""
        going_on = f"{attempt}, next in {wait_s:.0f} s" if wait_s else "; its calls go to the other addresses"
        logger.warning("%s: %s%s", endpoint.url, self._clean(failure.message), going_on)

    def close(self) -> None:
        """Connections belong to the event loop they were made in and end with it."""
        self._endpoints.clear()

    async def _once(self, endpoint: Endpoint, request: Request) -> tuple[Completion | FailedRequest, dict[str, Any]]:
        """What became of one request, and what was sent."""
        limiter = endpoint.limiter
        await limiter.acquire()
        started, body = time.monotonic(), self._body(request)
        try:
            reply = await endpoint.post(body, self._extra(request))
            completion = read_reply(reply).cut(request.sampling.stop)
        except (openai.OpenAIError, TimeoutError, BadReply) as error:
            failure = classify(error)
            if failure.meaning is Meaning.THROTTLED or isinstance(error, TimeoutError | openai.APITimeoutError):
                limiter.troubled(started, failure.wait_s or 0.0)
            return failure, body
        finally:
            limiter.release()
        self._reached = True
        endpoint.answered()
        limiter.answered(started, completion.completion_tokens or len(completion.text) // 3)
        return completion, body

    def _body(self, request: Request, omitted: Set[str] | None = None) -> dict[str, Any]:
        """The request without what is `omitted`; default: all that the server was found to refuse."""
        omitted = self._omitted if omitted is None else omitted
        sampling = request.sampling
        values: dict[str, Any] = {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens}
        if sampling.temperature > 0:
            # For endpoints that honour one: draws of one request differ, and repeat in a run with the same seed.
            seed = int(fingerprint([sampling.seed, request.sample_index])[:7], 16)
            values |= {"top_p": sampling.top_p, "seed": seed}
        if sampling.stop:
            values["stop"] = _fewer(sampling.stop) if _MANY_STOPS in omitted else list(sampling.stop)
        if "max_tokens" in omitted:  # the newer name of the same limit
            values["max_completion_tokens"] = values.pop("max_tokens")
        values = {name: value for name, value in values.items() if name not in omitted}
        if request.raw:
            return {"model": self._model, "prompt": request.messages[0].content, **values}
        messages: list[dict[str, Any]] = [message.model_dump() for message in request.messages]
        if _begun(request) and self._settings.prefill == "prefix":
            messages[-1]["prefix"] = True
        return {"model": self._model, "messages": messages, **values}

    def _extra(self, request: Request) -> dict[str, Any]:
        """Keys of the body that the SDK doesn't know."""
        begun: dict[str, Any] = {}
        if _begun(request) and self._settings.prefill == "continue_final_message":  # rather than open a new turn
            begun = {"continue_final_message": True, "add_generation_prompt": False}
        return begun | self._settings.extra_body

    def _leave_out(self, failure: FailedRequest, body: Mapping[str, Any]) -> bool:
        """Ask without a refused parameter from now on; False if `body`, which was sent, was without it.

        Stop texts are made fewer first. Answers are cut here, too, so that one that isn't sent costs tokens only.
        """
        refused, told = failure.parameter, self._clean(failure.message)
        if refused not in body:
            return False
        many = refused == STOP and len(body[STOP]) > MOST_STOPS
        left_out, rest = (_MANY_STOPS, f"with {MOST_STOPS}") if many else (refused, "without it")
        if left_out not in self._omitted:  # others that are under way with it are refused, too
            self._omitted.add(left_out)
            text = f"{self.name} refuses {left_out} ({told}); asked {rest} from now on"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        return True

    def _final(self, endpoint: Endpoint, failure: FailedRequest, attempts: int) -> ClientError:
        said, variable = self._clean(failure.message), self._settings.api_key_env
        key = f"the key in {variable}" if self._secret else f"the key: {variable} is not set in the environment"
        if not self._reached:
            tried = f"{attempts} attempt{'s' * (attempts > 1)}"
            also = f", and {key}" if self._lacks_key else ""
            return EndpointError(
                f"{endpoint.url}: nothing answers there: {said} ({tried}); check client.base_url and that the server "
                f"runs{also}; then run the same command again"
            )
        if failure.meaning is Meaning.ENDPOINT:
            advice = f"check client.base_url, client.model and {key}"
            return EndpointError(f"{endpoint.url}: {self._model}: {said}; {advice}")
        if failure.meaning is Meaning.PREFILL:
            advice = (
                "ask without a begun turn (evaluation.protocol=plain; iterpref diagnose can't), or set client.prefill "
                "to a way that it knows"
            )
            return EndpointError(
                f"{endpoint.url}: {self._model}: {said}; {advice} (plain: only where it continues begun turns unasked; "
                "else its answers are empty)"
            )
        if failure.meaning is Meaning.THROTTLED:
            asked = "" if failure.wait_s is None else f", asks to wait {failure.wait_s:.0f} s"
            most = f"client.give_up_s={self._settings.give_up_s:g}{asked}"
            return EndpointError(
                f"{endpoint.url}: throttled for longer than {most} ({said}); run again later, or raise it"
            )
        if failure.meaning is not Meaning.TRANSIENT:
            return RefusedError(f"{endpoint.url}: {self._model}: {said}")
        tried = f"({attempts} of {self._settings.max_attempts} attempts)"
        return ClientError(f"{endpoint.url}: {self._model}: {said} {tried}")

    def _clean(self, text: str) -> str:
        return without_key(text, self._secret)


def _fewer(stops: Sequence[str]) -> list[str]:
    """As many as servers take, special tokens last: these end a turn by themselves."""
    return sorted(stops, key=lambda stop: stop.startswith("<"))[:MOST_STOPS]


def _begun(request: Request) -> bool:
    return not request.raw and request.messages[-1].role == "assistant"
