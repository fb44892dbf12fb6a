"""Looks after an `istioctl install` from outside: it waits for five minutes where a glance tells that it is in vain."""

from __future__ import annotations

import time
from collections.abc import Callable

from wizard.clusters.port import Cluster
from wizard.engine.step import Job
from wizard.errors import Failed, Unreachable
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.steps.crds import establish
from wizard.steps.curlpod import LABEL
from wizard.steps.pods import image_trouble, pod_trouble
from wizard.text import duration

LOOK_EVERY = 3.0
ESTABLISH_EVERY = 20.0  # well after the definitions were made, where nothing holds them up
SILENT_SECONDS = 40  # how long an API server may stay silent during the install before it is given up
_OTHERS = f"!{LABEL}"  # probes that are refused are told by their own steps
PULL_SECONDS = 25  # how long an image may fail to be pulled before the install is given up


class Watch:
    """Looks after one install of one cluster."""

    def __init__(self, cluster: Cluster, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._job = job
        self._clock = clock
        self._next = clock() + LOOK_EVERY
        self._next_establish = clock() + ESTABLISH_EVERY
        self._silent_since: float | None = None
        self._pull_since: float | None = None
        self.trouble: Failed | None = None

    def look(self) -> bool:
        """Whether the install should be given up. Cheap between looks; asks the cluster every few seconds."""
        if self.trouble or self._job.cancelled():
            return True
        now = self._clock()
        if now < self._next:
            return False
        try:
            trouble = image_trouble(self._cluster, SYSTEM_NAMESPACE, _OTHERS)
            if now >= self._next_establish:
                self._next_establish = now + ESTABLISH_EVERY
                self._establish()
            self._silent_since = None
        except Unreachable as silent:
            self._silent_since = self._silent_since or now
            if now - self._silent_since >= SILENT_SECONDS:
                self.trouble = Unreachable(f"{silent.what} (for {duration(now - self._silent_since)})", silent.remedy)
            trouble = ""
        except Failed:
            trouble = ""
        self._pull_since = (self._pull_since or now) if trouble else None
        if trouble and self._pull_since is not None and now - self._pull_since >= PULL_SECONDS:
            self.trouble = Failed(
                trouble, "Check istio.hub and that the nodes reach it; or load the image onto the nodes."
            )
        self._next = self._clock() + LOOK_EVERY
        return self.trouble is not None

    def _establish(self) -> None:
        try:
            establish(self._cluster, self._job.say)
        except Unreachable:
            raise
        except Failed as failure:
            self._job.say(failure.what)  # istioctl then waits, and what keeps images away is still told in time

    def explained(self, failure: Failed) -> Failed:
        """istioctl's failure, or the cause that stands behind it where the cluster tells one."""
        if self.trouble:
            return self.trouble
        try:
            cause = image_trouble(self._cluster, SYSTEM_NAMESPACE, _OTHERS) or pod_trouble(
                self._cluster, SYSTEM_NAMESPACE, _OTHERS
            )
        except Unreachable as silent:
            return silent
        except Failed:
            cause = ""
        return Failed(f"{cause} ({failure.what})", failure.remedy) if cause else failure
