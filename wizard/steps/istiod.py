"""The wait for istiod, on which much of what follows an install builds."""

from __future__ import annotations

from wizard import kinds
from wizard.clusters.port import Cluster
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Difference, Done, Job, Needed, Probe, Step
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.pods import available
from wizard.probes.unready import Unready
from wizard.steps.install import injector_of, istiod_of, runs_istiod
from wizard.text import quoted
from wizard.world import World

ISTIOD_SECONDS = 420
_STARTING = msg("istiod is starting")


class IstiodReady(Step):
    """istiod answers and injects, while `istioctl install` may still wait for the gateway: what needs only istiod starts.
    In a remote, the istiod of its primary does.
    """

    kind = kinds.ISTIOD
    waits = True

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster) -> None:
        self._own = runs_istiod(mesh, cluster)
        control = cluster.name if self._own else str(cluster.primary)
        super().__init__(
            msg("istiod answers and injects") if self._own else msg("istiod of {cluster} injects", cluster=control),
            cluster=cluster.name, needs=(kinds.NAMESPACE.id(cluster.name),), joins=(kinds.INSTALL.id(cluster.name),),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster
        self._istiod = istiod_of(mesh)

    def probe(self, world: World) -> Probe:
        seen = self._seen(world.cluster(self.cluster))
        wanted = msg("available, its webhook ready")
        return Needed((Difference(self.title, "", seen, wanted),)) if seen else Done()

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        # Where it is in vain, the install that this one watches is given up, which tells why.
        unready = Unready(cluster, lambda: [self._istiod], self.member)

        def look() -> tuple[bool | None, str]:
            seen = self._seen(cluster)
            if seen == _STARTING:
                seen = unready.look() or seen
            return (None if seen else True), seen

        job.wait(msg("istiod to answer and inject"), look, seconds=ISTIOD_SECONDS, every=0.4)

    def commands(self) -> list[Command]:
        if not self._own:
            return []
        wait = f"rollout status {quoted(f'deployment/{self._istiod.name}')} --timeout={ISTIOD_SECONDS}s"
        return [Command(f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} {wait}")]

    def _seen(self, cluster: Cluster) -> str:
        """What is missing; empty where nothing is."""
        if self._own:
            istiod = cluster.get(self._istiod)
            if istiod is None:
                return msg("no Deployment {name} yet", name=self._istiod.name)
            if not available(istiod):
                return _STARTING
        injector = cluster.get(injector_of(self.mesh, self.member))
        hooks = (injector or {}).get("webhooks") or []
        if not hooks or not all(hook.get("clientConfig", {}).get("caBundle") for hook in hooks):
            return msg("the injection webhook has no certificate yet")
        return ""
