"""The proof: from each cluster's client, helloworld answers with the version of every cluster."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from wizard import kinds
from wizard.answered import Answered
from wizard.checks.explained import Explained
from wizard.checks.finding import Finding, Pair, way_on
from wizard.checks.standing.overdue import OVERDUE_SECONDS, Overdue
from wizard.checks.standing.view import Traffic
from wizard.clusters.port import EXECUTING
from wizard.clusters.typed import istioctl, kubectl
from wizard.engine.step import Command, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import Failed, VerificationFailed
from wizard.mesh.model import Cluster, Mesh
from wizard.mesh.sample import CLIENT
from wizard.messages import joined, msg
from wizard.probes.traffic import ANSWER_SECONDS, Heard, ask, url_of
from wizard.steps.loadbalancer import awaits_address
from wizard.text import listing, one_line, quoted
from wizard.world import World

VERIFY_SECONDS = 180


class Verify(Step):
    """Traffic from one cluster to the helloworld of every cluster."""

    kind = kinds.VERIFY
    rights = EXECUTING
    waits = True

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        title = msg("Every cluster answers {cluster}", cluster=cluster.name)
        super().__init__(title, cluster=cluster.name, needs=_needs(mesh, cluster))
        self.mesh = mesh
        self.member = cluster
        self.versions = tuple(mesh.sample_version(each.name) for each in mesh.clusters)

    def wanted(self) -> object:
        return self.versions

    def probe(self, world: World) -> Probe:
        try:
            asked = self._ask(world, len(self.versions) * 4)
        except Failed as failure:
            return Needed((Difference(msg("traffic"), "", failure.what, msg("answers of every cluster")),))
        heard = asked.answers
        missing = [version for version in self.versions if version not in heard]
        if missing:
            seen = _told(heard) if heard else asked.error or msg("no answer")
            wanted = msg("answers of {versions} too", versions=listing(missing))
            return Needed((Difference(msg("traffic"), "", seen, wanted),))
        told = _told(heard)
        return Done(told, (self._answered(heard, (), 0, told),))

    def apply(self, world: World, job: Job) -> None:
        overdue = job.shared.once("overdue", lambda: Overdue(self.mesh, world.clusters))
        heard: Counter[str] = Counter()
        failures = 0
        last = ""
        began = time.monotonic()

        def look() -> tuple[bool | None, str]:
            nonlocal failures, last
            try:
                asked = self._ask(world, len(self.versions) * 4)
            except Failed as failure:
                asked = Heard(Counter(), failure.what)
            heard.update(asked.answers)
            failures += 1 if asked.error else 0
            missing = tuple(version for version in self.versions if not heard[version])
            last = asked.error or _told(heard)
            job.tell(self._answered(heard, missing, failures, last))
            overdue.told(self.member.name, Traffic(Heard(Counter(heard), asked.error)))
            seen = msg("{seen}; missing {versions}", seen=last, versions=listing(missing))
            if not missing or time.monotonic() - began < OVERDUE_SECONDS:
                return (None if missing else True), seen
            overdue.look()
            cause, certain = overdue.cause(self._pairs(missing))
            if cause is None:
                return None, seen
            job.tell(self._explained(cause))
            if certain:
                raise self._caused(cause, missing)
            return None, joined((seen, cause.text), "; ")

        try:
            job.wait(msg("every version to answer"), look, seconds=VERIFY_SECONDS, every=0.5)
        except VerificationFailed:
            raise
        except Failed as failure:
            missing = tuple(version for version in self.versions if not heard[version])
            overdue.wait()
            cause, _ = overdue.cause(self._pairs(missing))
            if cause:
                job.tell(self._explained(cause))
                raise self._caused(cause, missing) from failure
            raise VerificationFailed(
                msg(
                    "no answer of {peers} reached {cluster}: {problem}",
                    peers=listing(self._whose(version) for version in missing),
                    cluster=self.member.name,
                    problem=failure.what,
                ),
                self._advice(missing),
            ) from failure

    def _explained(self, cause: Finding) -> Explained:
        peers = tuple(target for source, target in cause.breaks if source == self.member.name)
        return Explained(**self.named(), peers=peers, finding=cause)

    def _caused(self, cause: Finding, missing: Sequence[str]) -> VerificationFailed:
        told = msg(
            "no answer of {peers} reached {cluster}: {problem}",
            peers=listing(self._whose(version) for version in missing),
            cluster=self.member.name,
            problem=cause.text,
        )
        return VerificationFailed(told, way_on(cause))

    def _pairs(self, missing: Sequence[str]) -> list[Pair]:
        return [(self.member.name, self._peer(version).name) for version in missing]

    def _answered(self, heard: Mapping[str, int], missing: tuple[str, ...], errors: int, last: str) -> Answered:
        return Answered(
            **self.named(),
            counts=dict(heard),
            missing=missing,
            errors=errors,
            last=one_line(last),
        )

    def commands(self) -> list[Command]:
        url = url_of(self.mesh.verify.namespace)
        patterns = "\n".join(
            f"    [[ $answers == *{quoted(f'version: {version},')}* ]] || missing={quoted(version)}"
            for version in self.versions
        )
        return [
            Command(
                "for attempt in $(seq 60); do\n"
                f"  answers=$({kubectl(self.member)} -n {quoted(self.mesh.verify.namespace)} exec deploy/{CLIENT} -c {CLIENT} -- "
                f"curl -sS --max-time {ANSWER_SECONDS} {quoted(f'{url}?n=[1-{len(self.versions) * 4}]')} || true)\n"
                f"    missing=\n{patterns}\n"
                '  [ -z "$missing" ] && break\n'
                "  sleep 2\n"
                "done\n"
                'echo "$answers"\n'
                f'[ -z "$missing" ] || {{ echo {quoted(f"{self.member.name} does not hear")} "$missing" >&2; exit 1; }}',
                msg("From {cluster}, every cluster's version must answer.", cluster=self.member.name),
            )
        ]

    def _ask(self, world: World, requests: int) -> Heard:
        """Failed where no request could be sent."""
        return ask(world.cluster(self.cluster), self.mesh.verify.namespace, requests)

    def _peer(self, version: str) -> Cluster:
        return self.mesh.clusters[self.versions.index(version)]

    def _whose(self, version: str) -> str:
        return f"{self._peer(version).name} ({version})"

    def _advice(self, missing: Sequence[str]) -> str:
        beyond = {peer.name for peer in self.mesh.beyond(self.member.name)}
        peers = [self._peer(version) for version in missing]
        gateways = listing(
            msg("{address}:{port}", address=address, port=str(peer.gateway.tls_port))
            for peer in peers
            if peer.name in beyond
            for address in peer.gateway.addresses or (msg("the load balancer of {cluster}", cluster=peer.name),)
        )
        near = listing(peer.name for peer in peers if peer.name not in beyond and peer.name != self.member.name)
        if not gateways and not near:
            get = f"{kubectl(self.member)} -n {quoted(self.mesh.verify.namespace)} get pods"
            return msg("Look at the sample: {command}", command=get)
        what = [msg("that {gateways} can be reached (firewalls)", gateways=gateways)] if gateways else []
        if near:
            shared = msg(
                "that pods of {clusters} can be reached, since they share network {network}",
                clusters=near, network=self.member.network,
            )  # fmt: skip
            what.append(shared)
        control = self.mesh.control_plane(self.member.name)
        return msg(
            "Check from a node of {cluster} {conditions}, and `{command}` for what istiod could read.",
            cluster=self.member.name,
            conditions=listing(what),
            command=istioctl(control, "remote-clusters"),
        )


def _needs(mesh: Mesh, cluster: Cluster) -> tuple[str, ...]:
    control = mesh.control_plane(cluster.name)
    needs = [kinds.MESH_NETWORKS.id(control.name)]
    if mesh.verify.probes == "before":
        needs.append(kinds.REACH_GATEWAYS.id(cluster.name))
        needs += [kinds.REACH_PEERS.id(control.name)] if mesh.read_by(control.name) else []
    needs += [kinds.ROUTE.id(cluster.name, target.name) for target in mesh.routed_from(cluster.name)]
    needs += [kinds.REMOTE_SECRET.id(control.name, peer.name) for peer in mesh.read_by(control.name)]
    for each in mesh.clusters:
        needs += [kinds.SAMPLE.id(each.name), kinds.INSTALL.id(each.name)]
        if awaits_address(mesh, each):
            needs.append(kinds.GATEWAY_ADDRESS.id(each.name))
    # The control planes that configure the gateways of the other networks.
    opening = dict.fromkeys(mesh.control_plane(peer.name).name for peer in mesh.beyond(cluster.name))
    needs += [kinds.EXPOSE_SERVICES.id(name) for name in opening]
    return tuple(needs)


def _told(heard: Counter[str]) -> str:
    return msg("heard {answers}", answers=listing(f"{version} {count}×" for version, count in sorted(heard.items())))
