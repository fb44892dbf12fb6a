"""Answers that are overdue: why they do not come is looked at beside the waiting, for all who wait together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future

from wizard.checks.finding import Finding, Pair
from wizard.checks.standing.diagnosis import Diagnosis, diagnose
from wizard.checks.standing.view import Traffic, View
from wizard.clusters.port import Cluster
from wizard.mesh.model import Mesh

log = logging.getLogger(__name__)

OVERDUE_SECONDS = 8.0  # without an answer before the first look: what is new takes some seconds to reach every proxy
EVERY_SECONDS = 10.0  # from the end of a look to the next
CERTAIN_SECONDS = 30.0  # for which a cause must have stood, look after look: what is only late heals meanwhile
LAST_SECONDS = 30.0  # that a look may take which is under way when the time is up


class Overdue:
    """Why answers do not come, of all clusters of a mesh that wait for some. One look at a time, in a thread of its own, while
    anybody asks. Thread-safe.
    """

    def __init__(self, mesh: Mesh, clusters: Mapping[str, Cluster], now: Callable[[], float] = time.monotonic) -> None:
        self._mesh = mesh
        self._clusters = clusters
        self._now = now
        self._lock = threading.Lock()
        self._traffic: dict[str, Traffic] = {}
        self._looking: Future[None] | None = None
        self._ended: float | None = None  # when the last look did
        self._diagnosis: Diagnosis | None = None
        self._since: dict[tuple[str, str], float] = {}  # (check, object) of what the last look found → found first

    def told(self, cluster: str, traffic: Traffic) -> None:
        """What this cluster's client heard so far."""
        with self._lock:
            self._traffic[cluster] = traffic

    def look(self) -> None:
        """Look, beside whoever asks, unless somebody does or has just done so."""
        with self._lock:
            if self._looking is not None or (self._ended is not None and self._now() - self._ended < EVERY_SECONDS):
                return
            looking: Future[None] = Future()
            self._looking = looking
            view = View(self._mesh, self._clusters, inferred=self._mesh.adopted, traffic=dict(self._traffic))
        threading.Thread(target=self._look, args=(view, looking), name="diagnosis", daemon=True).start()

    def cause(self, pairs: Iterable[Pair]) -> tuple[Finding | None, bool]:
        """What keeps any of this traffic from passing, as far as the last look found it, and whether it is certain."""
        with self._lock:
            found = self._diagnosis.cause_of(pairs) if self._diagnosis else None
            if found is None:
                return None, False
            return found, self._now() - self._since[_key(found)] >= CERTAIN_SECONDS

    def wait(self) -> None:
        """Until a look that is under way ended, or had its time."""
        with self._lock:
            looking = self._looking
        if looking is not None:
            try:
                looking.result(LAST_SECONDS)
            except TimeoutError:
                log.warning("a diagnosis took longer than %s s", LAST_SECONDS)

    def _look(self, view: View, looking: Future[None]) -> None:
        began = self._now()
        found: Diagnosis | None = None
        try:
            found = diagnose(view)
        except Exception:
            # A mistake of ours must not take the verification along, which says itself what it heard.
            log.exception("diagnosis of %s", self._mesh.name)
        with self._lock:
            self._looking, self._ended = None, self._now()
            self._diagnosis = found
            seen = {_key(each) for each in found.findings} if found else set()
            self._since = {key: self._since.get(key, began) for key in seen}
        looking.set_result(None)


def _key(finding: Finding) -> tuple[str, str]:
    return finding.check, finding.object
