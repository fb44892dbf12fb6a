"""The proof: from each cluster's client, helloworld answers with the version of every cluster."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from wizard.answered import Answered
from wizard.clusters.port import EXECUTING
from wizard.clusters.typed import istioctl, kubectl
from wizard.engine.step import Command, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import Failed, VerificationFailed
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import msg
from wizard.steps import kinds
from wizard.steps.loadbalancer import awaits_address
from wizard.steps.sample import CLIENT, PORT, SERVICE, client_pod
from wizard.text import listing, one_line, quoted
from wizard.world import World

VERIFY_SECONDS = 180
ANSWER_SECONDS = 5  # for one request
_COMPLAINT = re.compile(r"curl: \(\d+\)[^\r\n]*")
_ANSWER = re.compile(r"Hello version: (v\d+), instance: (\S+)")


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
            heard, errors = self._ask(world, len(self.versions) * 4)
        except Failed as failure:
            return Needed((Difference(msg("traffic"), "", failure.what, msg("answers of every cluster")),))
        missing = [version for version in self.versions if version not in heard]
        if missing:
            seen = _told(heard) if heard else errors or msg("no answer")
            wanted = msg("answers of {versions} too", versions=listing(missing))
            return Needed((Difference(msg("traffic"), "", seen, wanted),))
        told = _told(heard)
        return Done(told, (self._answered(heard, (), 0, told),))

    def apply(self, world: World, job: Job) -> None:
        heard: Counter[str] = Counter()
        failures = 0
        last = ""

        def look() -> tuple[bool | None, str]:
            nonlocal failures, last
            try:
                answers, error = self._ask(world, len(self.versions) * 4)
            except Failed as failure:
                answers, error = Counter(), failure.what
            heard.update(answers)
            failures += 1 if error else 0
            missing = tuple(version for version in self.versions if not heard[version])
            last = error or _told(heard)
            job.tell(self._answered(heard, missing, failures, last))
            return (None if missing else True), msg("{seen}; missing {versions}", seen=last, versions=listing(missing))

        try:
            job.wait(msg("every version to answer"), look, seconds=VERIFY_SECONDS, every=0.5)
        except Failed as failure:
            missing = [version for version in self.versions if not heard[version]]
            raise VerificationFailed(
                msg(
                    "no answer of {peers} reached {cluster}: {problem}",
                    peers=listing(self._whose(version) for version in missing),
                    cluster=self.member.name,
                    problem=failure.what,
                ),
                self._advice(missing),
            ) from failure

    def _answered(self, heard: Mapping[str, int], missing: tuple[str, ...], errors: int, last: str) -> Answered:
        return Answered(
            **self.named(),
            counts=dict(heard),
            missing=missing,
            errors=errors,
            last=one_line(last),
        )

    def commands(self) -> list[Command]:
        url = f"http://{SERVICE}.{self.mesh.verify.namespace}:{PORT}/hello"
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

    def _ask(self, world: World, requests: int) -> tuple[Counter[str], str]:
        """Answers by version, and what went wrong with the last request that failed. Failed where none could be sent."""
        cluster = world.cluster(self.cluster)
        pod = client_pod(cluster, self.mesh.verify.namespace)
        # curl spreads the range itself: one exec instead of many, and all requests under way at once.
        url = f"http://{SERVICE}.{self.mesh.verify.namespace}:{PORT}/hello?n=[1-{requests}]"
        argv = ["curl", "-sS", "--parallel", "--max-time", str(ANSWER_SECONDS), url]
        done = cluster.execute(pod, CLIENT, argv, seconds=ANSWER_SECONDS * 3)
        heard = Counter(found[1] for found in _ANSWER.finditer(done.stdout))
        # Envoy's error texts end without a newline, so one may stand on the line of the next answer.
        other = [line for line in _ANSWER.sub("\n", done.stdout).splitlines() if line.strip()]
        # Beside its complaints, a curl that works in parallel writes how far it is.
        complaint = _COMPLAINT.findall(done.stderr) or other
        if done.code < 0:
            complaint = done.stderr.strip().splitlines()
        return heard, one_line(complaint[-1]) if complaint else ""

    def _whose(self, version: str) -> str:
        return f"{self.mesh.clusters[self.versions.index(version)].name} ({version})"

    def _advice(self, missing: list[str]) -> str:
        beyond = {peer.name for peer in self.mesh.beyond(self.member.name)}
        peers = [self.mesh.clusters[self.versions.index(version)] for version in missing]
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
