"""Looks after an `istioctl install` from outside: it waits for five minutes where a glance tells that it is in vain."""

from __future__ import annotations

import time
from collections.abc import Callable

from wizard.clusters.kinds import DEPLOYMENT, Ref, ref_of
from wizard.clusters.port import Cluster
from wizard.engine.step import Job
from wizard.errors import Failed, Unreachable
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.crds import establish
from wizard.objects.gateway import replace_uninjected
from wizard.objects.ownership import ISTIO_OWNER
from wizard.probes.unready import Cause, Unready, first_cause
from wizard.text import duration

LOOK_EVERY = 3.0
ESTABLISH_EVERY = 20.0  # well after the definitions were made, where nothing holds them up
SILENT_SECONDS = 40  # how long an API server may stay silent during the install before it is given up
_HUB = msg("Check istio.hub and that the nodes reach it; or load the image onto the nodes.")


class Watch:
    """Looks after one install of one cluster."""

    def __init__(
        self, cluster: Cluster, member: model.Cluster, job: Job, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`member`: the cluster as the mesh file has it. `job`: that of the step that installs, which hears of all that is
        done. `clock`: seconds, monotonic.
        """
        self._cluster = cluster
        self._member = member
        self._job = job
        self._clock = clock
        self._next = clock() + LOOK_EVERY
        self._next_establish = clock() + ESTABLISH_EVERY
        self._silent_since: float | None = None
        self._unready = Unready(cluster, self._installed, member, job.say)
        self.trouble: Failed | None = None

    def look(self) -> bool:
        """Whether the install should be given up. Cheap between looks; asks the cluster every few seconds."""
        if self.trouble or self._job.cancelled():
            return True
        now = self._clock()
        if now < self._next:
            return False
        try:
            replace_uninjected(self._cluster, self._job)
            self._unready.look()
            if now >= self._next_establish:
                self._next_establish = now + ESTABLISH_EVERY
                self._establish()
            self._silent_since = None
        except Unreachable as silent:
            self._silent_since = self._silent_since or now
            if now - self._silent_since >= SILENT_SECONDS:
                since = duration(now - self._silent_since)
                self.trouble = Unreachable(
                    msg("{problem} (for {time})", problem=silent.what, time=since), silent.remedy
                )
        except Failed:
            pass
        if self._unready.over:
            self.trouble = self._failed(self._unready.over)
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
            cause = first_cause(self._cluster, self._installed(), self._member)
        except Unreachable as silent:
            return silent
        except Failed:
            cause = None
        return self._failed(cause, failure) if cause else failure

    def _installed(self) -> list[Ref]:
        """The Deployments that istioctl made for us; what else does not run in the namespace is not the install's."""
        mine = f"{ISTIO_OWNER}={OPERATOR_NAME}"
        return [ref_of(item) for item in self._cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE, mine)]

    def _failed(self, cause: Cause, failure: Failed | None = None) -> Failed:
        """`failure`: istioctl's, where it ended by itself."""
        what = msg("{cluster}: {problem}", cluster=self._cluster.name, problem=cause.text)
        remedy = _HUB if cause.layer == "image" else cause.remedy
        if failure is None:
            return Failed(what, remedy)
        return Failed(msg("{problem} ({failure})", problem=what, failure=failure.what), remedy or failure.remedy)
