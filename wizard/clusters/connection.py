"""The connection to one cluster: who we are there, and requests that are sent again as long as that promises something."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from urllib3 import HTTPHeaderDict

from wizard.clusters import changing
from wizard.clusters.answers import Asked, Missing, no_answer, refusal, too_large
from wizard.clusters.kinds import Object
from wizard.clusters.login import Chosen, Login, chosen, login, problem_of
from wizard.clusters.patience import Attempts, Failure, Patience, failure_of, retry_after
from wizard.clusters.port import Executed, Outdated
from wizard.clusters.wire import Answer, NoAnswer, Wire
from wizard.errors import Failed, NotKnown, Trouble, words_of

R = TypeVar("R", Answer, Answer | Executed)


class Connection:
    """To the cluster of one kubeconfig context. Logs in at the first request, and again where credentials ran out; any thread may
    use it.
    """

    def __init__(self, name: str, kubeconfig: Path | None, context: str, patience: Patience) -> None:
        """`name`: of the cluster, for people. `patience`: how long each call may take, and what is tried again."""
        self.name = name
        self._kubeconfig = kubeconfig
        self._context = context
        self._patience = patience
        self._lock = threading.Lock()
        self._chosen: Chosen | None = None
        self._logged_in: tuple[Login, Wire] | None = None
        # Why there was no connection lately, and when that was given up.
        self._unanswered: tuple[NoAnswer, float] | None = None
        # Whether the credentials were read anew because they were refused, and not accepted since.
        self._just_refused = False
        # Why there are no good credentials, and until when that is believed.
        self._refused: tuple[Trouble, float] | None = None

    @property
    def server(self) -> str:
        """The address of its API server, as the kubeconfig has it."""
        with self._lock:
            return self._choose().server

    @property
    def verified(self) -> bool:
        """Whether it is verified who answers there."""
        with self._lock:
            return self._choose().verified

    def close(self) -> None:
        """Forget the credentials and end what is open; the next request logs in anew."""
        with self._lock:
            self._drop()
            self._chosen = None

    def asked(self, what: str, *, mutating: bool = False) -> Asked:
        """What will be asked, for whoever is told that it failed. Reads the kubeconfig, and raises as `chosen` does."""
        return Asked(self.name, self._context, self._kubeconfig, self.server, what, mutating)

    def until_many(self) -> float:
        """When a call that needs several requests must be done."""
        return time.monotonic() + 2 * self._patience.total

    def ask(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        *,
        repeatable: bool = False,
        until: float = math.inf,
    ) -> Answer:
        """The API server's good answer to one request. `repeatable`: doing it twice is as good as once, as it is with reads."""
        headers = {"Accept": "application/json, */*;q=0.5", "User-Agent": "meshwizard"}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, default=str).encode()
        target = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        reading = method == "GET"

        def send(who: Login, wire: Wire, attempts: Attempts) -> Answer:
            if asked.mutating:
                changing.check()
            silence = self._patience.silence if reading else self._patience.total
            return wire.ask(
                method, target, _joined(headers, who.headers), data,
                connect=attempts.connect, silence=silence, until=attempts.until,
            )  # fmt: skip

        # Only server-side apply may meet a conflict that is not the caller's: two made it at the same moment.
        races = method == "PATCH" and body is not None and "resourceVersion" not in (body.get("metadata") or {})
        return self.until_answered(asked, send, repeatable=repeatable or reading, until=until, races=races)

    def until_answered(
        self,
        asked: Asked,
        send: Callable[[Login, Wire, Attempts], R],
        *,
        repeatable: bool,
        until: float = math.inf,
        races: bool = False,
    ) -> R:
        """What `send` gets, sent again as long as that promises something, and safe."""
        self.log_in()  # no work of the network's, and none of its time
        unanswered, given_up = self._unanswered or (None, -math.inf)
        ago = time.monotonic() - given_up
        attempts = Attempts(self._patience, until=until, repeatable=repeatable, parked=ago < self._patience.parked)
        renewed = raced = False
        while True:
            who, wire = self._connected()
            if unanswered is not None and ago < self._patience.mute:
                raise no_answer(asked, unanswered, wire.route, unsure=False) from unanswered
            try:
                answer = send(who, wire, attempts)
            except NoAnswer as none:
                if none.large:
                    raise too_large(asked, words_of(none)) from none
                if none.tls is None and attempts.again(Failure.LOST if none.sent else Failure.UNSENT):
                    continue
                if not none.sent:
                    self._unanswered = none, time.monotonic()
                raise no_answer(asked, none, wire.route, unsure=attempts.unsure or none.sent) from none
            self._unanswered = None
            if not isinstance(answer, Answer) or HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                self._just_refused = False
                return answer
            failure = failure_of(answer.status)
            wish = retry_after(answer.headers.get("Retry-After"), answer.headers.get("Date"))
            if failure is not None and attempts.again(failure, wish):
                continue
            trouble = refusal(asked, answer, who.certificate)
            if isinstance(trouble, NotKnown) and self._log_out(who, trouble, again=not renewed):
                renewed = True
                continue
            if isinstance(trouble, Outdated) and races and not raced:
                raced = True
                continue
            if isinstance(trouble, Missing):
                trouble.unsure = attempts.unsure
            raise trouble

    # -- who we are there

    def _choose(self) -> Chosen:
        if self._chosen is None:
            with problem_of(self.name, self._kubeconfig, self._context):
                self._chosen = chosen(self.name, self._kubeconfig, self._context)
        return self._chosen

    def _drop(self) -> None:
        if self._logged_in is not None:
            self._logged_in[1].close()
        self._logged_in = None

    def log_in(self) -> None:
        """Have credentials and a way there, as every request does first. Failed where there are none."""
        self._connected()

    def _connected(self) -> tuple[Login, Wire]:
        with self._lock:
            if self._logged_in is not None and time.monotonic() >= self._logged_in[0].renew:
                self._drop()
            if self._logged_in is None:
                if self._refused is not None and time.monotonic() < self._refused[1]:
                    known = self._refused[0]
                    raise type(known)(known.what, known.remedy)
                try:
                    with problem_of(self.name, self._kubeconfig, self._context):
                        made = login(self._choose(), seconds=self._patience.plugin)
                        self._logged_in = made, Wire(made.route)
                except Failed as trouble:
                    self._refuse(trouble)
                    raise
            return self._logged_in

    def _log_out(self, who: Login, why: Trouble, *, again: bool) -> bool:
        """These credentials were refused. Whether it is worth asking `again`, with credentials read anew. Where they were anew
        already they are let be for a while, since who tries too often is locked out.
        """
        with self._lock:
            if self._logged_in is not None and self._logged_in[0] is who:
                again = again and not self._just_refused
                who.refused()
                self._drop()
                self._chosen = None
                self._just_refused = True
            if not again:
                self._refuse(why)
            return again

    def _refuse(self, trouble: Trouble) -> None:
        self._refused = trouble, time.monotonic() + self._patience.parked


def _joined(headers: Mapping[str, str], more: Mapping[str, str]) -> HTTPHeaderDict:
    """All of them; one that stands more than once in `more` stays so."""
    joined = HTTPHeaderDict(headers)
    joined.extend(more)
    return joined
