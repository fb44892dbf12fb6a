"""Remote secrets: a cluster's istiod learns the endpoints of a peer by reading the peer's API server with this credential."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Sequence

from wizard import kinds
from wizard.clusters import port as clusters
from wizard.clusters.kinds import POD, SECRET, SERVICE_ACCOUNT, Object, Ref
from wizard.clusters.typed import istioctl, kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import Failed, NeedsPerson
from wizard.istio.versions import remote_secret_command
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.before import owner
from wizard.objects.ownership import CREATED, annotation, is_of, is_ours, label, of_another
from wizard.objects.placing import await_ended, put, take_back
from wizard.objects.removal import READER_TOKEN
from wizard.probes.credential import in_secret
from wizard.registered import registered
from wizard.text import listing, one_line, quoted
from wizard.world import World

MARK = "istio/multiCluster"
CLUSTER = "networking.istio.io/cluster"
READER = Ref(SERVICE_ACCOUNT, "istio-reader-service-account", SYSTEM_NAMESPACE)
READER_SECONDS = 300
TOKEN_SECONDS = 120
FORGETTING_SECONDS = 20
UNTOLD_SECONDS = 5  # what an istiod that cannot tell gets to let go of a cluster
_NOT_FILLED = "data found"  # in istioctl's words: no "ca.crt" data found


def secret_of(peer: str) -> Ref:
    """The secret with which an istiod reads the cluster of that name."""
    return Ref(SECRET, f"istio-remote-secret-{peer}", SYSTEM_NAMESPACE)


class RemoteSecret(Step):
    """The secret in `cluster` with which its istiod reads `target`.

    istiod (seen with 1.29) never takes up what such a secret says where that changes in place: it stops to read that cluster,
    and whatever remote secret comes next hangs, until istiod is started anew (https://github.com/istio/istio/issues/60612).
    So one that says something else is deleted, and made anew once istiod has let go of the cluster; only labels and
    annotations change in place.

    A remote's is applied while its install still waits: for a gateway that is injected only once this secret tells the
    primary's istiod of the cluster.
    """

    kind = kinds.REMOTE_SECRET
    rights = tuple(clusters.Right(verb, SECRET, SYSTEM_NAMESPACE) for verb in ("create", "patch", "delete"))

    def __init__(self, mesh: Mesh, cluster: Cluster, target: Cluster) -> None:
        during = target.role == "remote"
        standing = kinds.NAMESPACE if during else kinds.ISTIOD
        tried = (kinds.REACH_API.id(cluster.name),) if mesh.verify.probes == "before" else ()
        super().__init__(
            msg("Remote secret for {peer}", peer=target.name), cluster=cluster.name, peer=target.name,
            needs=(kinds.NAMESPACE.id(cluster.name), standing.id(target.name), *tried),
            joins=(kinds.INSTALL.id(target.name),) if during else (),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster
        self.target = target
        self.ref = secret_of(target.name)

    def wanted(self) -> object:
        return {"peer": self.target.name, "server": self.target.api_server}

    def probe(self, world: World) -> Probe:
        live = world.cluster(self.cluster).get(self.ref)
        if live is None and self.mesh.adopted:
            named = next(
                (each for each in registered(world.cluster(self.cluster)) if each.name == self.target.name), None
            )
            if named:
                return Done(msg("reads {server}, by Secret {name}", server=named.server, name=one_line(named.secret)))
        if live is None:
            wanted = msg("to be made, reading {server}", server=self.target.api_server)
            return Needed((Difference(str(self.ref), "", None, wanted),))
        conflict = of_another(self.member.name, live, self.mesh.name)
        if conflict:
            return conflict
        marks, content = self._differences(live, world)
        told = (*marks, *content)
        if (told and not is_ours(live)) or (content and not _is_made(live)):
            return self._conflict(live, told)
        return Needed(told) if told else Done(msg("reads {server}", server=self.target.api_server))

    def apply(self, world: World, job: Job) -> None:
        server = str(self.target.api_server)
        job.say(msg("credential of {peer}'s reader for {server}", peer=self.target.name, server=server))
        self._await_reader(world, job)

        def look() -> tuple[Object | None, str]:
            try:
                key = f"remote-secret/{self.target.name}"
                return job.shared.once(key, lambda: world.istioctl.remote_secret(self.target, server=server)), ""
            except Failed as failure:
                # istioctl waits five seconds for the token to be filled; a busy controller manager takes longer.
                if _NOT_FILLED not in failure.what:
                    raise
                return None, failure.what

        what = msg("the token of {peer}'s reader", peer=self.target.name)
        remedy = msg("Does the controller manager of {peer} run?", peer=self.target.name)
        made = job.wait(what, look, seconds=TOKEN_SECONDS, remedy=remedy)
        name = made["metadata"]["name"]
        if name != self.ref.name:
            raise Failed(
                msg("istioctl made secret {made}, not {wanted}", made=name, wanted=self.ref.name),
                msg("Is this istioctl what it says it is?"),
            )
        self._put(world, made, job)

    def _put(self, world: World, made: Object, job: Job) -> None:
        """Bring what istioctl made into the cluster."""
        cluster = world.cluster(self.cluster)
        metadata = {key: made["metadata"].get(key) or {} for key in ("labels", "annotations")}
        data = {
            key: base64.b64encode(str(text).encode()).decode() for key, text in (made.get("stringData") or {}).items()
        }
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.ref.name, "namespace": self.ref.namespace, **metadata},
            "type": made.get("type", "Opaque"),
            "data": {**(made.get("data") or {}), **data},
        }
        live = cluster.get(self.ref)
        if live is not None and is_of(live, self.mesh.name):
            marks, content = self._differences(live, world)
            if not content:
                # Another istioctl may write the same in other bytes, which istiod would take for another content.
                secret["data"] = {self.target.name: live["data"][self.target.name]}
            elif _is_made(live):
                self._remove(cluster, live, job)
            else:
                conflict = self._conflict(live, (*marks, *content))
                raise NeedsPerson(conflict.what, conflict.remedy)
        put(cluster, secret, self.mesh.name)

    def _remove(self, cluster: clusters.Cluster, live: Object, job: Job) -> None:
        """Take the secret that says something else out of istiod's sight, for the new one to be taken up."""
        peer = self.target.name
        job.say(msg("{secret} is made anew: istiod takes up none that changes in place", secret=str(self.ref)))
        cluster.delete(self.ref, uid=live["metadata"]["uid"])
        await_ended(cluster, self.ref, job)
        if not _await_unread(cluster, peer, job, untold=UNTOLD_SECONDS):
            command = f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} rollout restart deployment -l app=istiod"
            job.say(
                msg(
                    "If istiod of {cluster} does not read {peer} afterwards, start it anew: {command}",
                    cluster=self.member.name,
                    peer=peer,
                    command=command,
                )
            )

    def _await_reader(self, world: World, job: Job) -> None:
        """istioctl would make the account itself, but not the way the install does."""
        peer = world.cluster(self.target.name)

        def look() -> tuple[Object | None, str]:
            return peer.get(READER), msg("not there yet")

        what = msg("the reader's account in {peer}", peer=self.target.name)
        job.wait(what, look, seconds=READER_SECONDS, every=0.4)

    def undo(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        take_back(cluster, self.ref, self.mesh.name, job)
        if self.target.role == "remote" and cluster.get(self.ref) is None:
            _await_unread(cluster, self.target.name, job)

    def commands(self) -> list[Command]:
        make = " ".join(remote_secret_command(str(self.mesh.istio.version)))
        at, names = kubectl(self.member), {"cluster": self.member.name, "peer": self.target.name}
        return [
            Command(
                f"gone=$({at} -n {SYSTEM_NAMESPACE} delete secret {quoted(self.ref.name)} --ignore-not-found -o name)\n"
                f'[ -z "$gone" ] || sleep {UNTOLD_SECONDS}',
                msg("If {cluster} has an older secret for {peer}, its istiod must let go of that first.", **names),
            ),
            Command(
                f"{istioctl(self.target, make)} -n {SYSTEM_NAMESPACE} "
                f"--name={quoted(self.target.name)} --server={quoted(self.target.api_server)} |\n"
                f"  {at} apply -f -",
                msg("{cluster}'s istiod may read {peer}.", **names),
            ),
        ]

    def _differences(self, live: Object, world: World) -> tuple[list[Difference], list[Difference]]:
        """Those of labels and annotations, and those of the content."""
        token = _reader_token(world.cluster(self.target.name))
        marks, content = (
            [Difference(str(self.ref), field, found, wanted) for field, found, wanted in fields if found != wanted]
            for fields in (_marks(live, self.target.name), self._content(live, token))
        )
        return marks, content

    def _conflict(self, live: Object, told: Sequence[Difference]) -> Conflict:
        differences = joined((each.told for each in told[:3]), "; ")
        words = {"cluster": self.member.name, "secret": str(self.ref), "differences": differences}
        return Conflict(
            msg("{cluster}: {secret} was there before this mesh, and differs: {differences}", **words)
            if is_ours(live)
            else msg(
                "{cluster}: {secret} is there already, made by {owner}, and differs: {differences}",
                owner=owner(live),
                **words,
            ),
            msg(
                "Remove it, if nobody needs it ({command}), or give {peer} another name in the mesh file.",
                command=f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} delete secret {quoted(self.ref.name)}",
                peer=self.target.name,
            ),
        )

    def _content(self, live: Object, token: Object | None) -> list[tuple[str, str | None, str]]:
        """(field, found, wanted) of what the credential says; secrets only by fingerprint."""
        held = in_secret(live, self.target.name)
        if held is None:
            return [(f"data.{self.target.name}", msg("not a kubeconfig"), msg("a kubeconfig"))]
        valid, authority = (
            base64.b64decode(((token or {}).get("data") or {}).get(key, "")).decode(errors="replace")
            for key in ("token", "ca.crt")
        )
        return [
            ("server", held.server, str(self.target.api_server)),
            ("token", _print(held.token), _print(valid) if valid else msg("a valid one")),
            (
                msg("certificate authority"),
                msg("not verified") if held.authority is None else _print(held.authority),
                _print(authority),
            ),
        ]


def _marks(live: Object, peer: str) -> list[tuple[str, str | None, str]]:
    """(field, found, wanted) of what makes istiod look at it, and take it for that peer's."""
    return [
        (f"labels.{MARK}", label(live, MARK), "true"),
        (f"annotations.{CLUSTER}", annotation(live, CLUSTER), peer),
    ]


def _is_made(live: Object) -> bool:
    """Whether the wizard made it, and did not only join in."""
    return is_ours(live) and annotation(live, CREATED) is not None


def _await_unread(cluster: clusters.Cluster, peer: str, job: Job, untold: float = 0) -> bool:
    """Until no istiod that runs here lists the peer: as long as one does, it writes into it, and takes up nothing new about it.
    `untold`: the seconds for those that cannot tell (before Istio 1.11, or where nobody may ask). False where one still lists
    it when the time is up, which is said, and holds up nothing.
    """
    began = time.monotonic()

    def look() -> tuple[bool | None, str]:
        pods = [pod for pod in cluster.objects(POD, SYSTEM_NAMESPACE, "app=istiod") if _runs(pod)]
        found = {one_line(pod["metadata"]["name"]): _listed(cluster, pod) for pod in pods}
        knowing = [name for name, read in found.items() if read is not None and peer in read]
        if knowing:
            return None, msg("still known to {pods}", pods=listing(knowing))
        silent = [name for name, read in found.items() if read is None]
        if silent and time.monotonic() - began < untold:
            return None, msg("{pods} cannot tell", pods=listing(silent))
        return True, ""

    try:
        return job.wait(msg("istiod to forget {peer}", peer=peer), look, seconds=FORGETTING_SECONDS, every=0.5)
    except Failed as failure:
        job.say(failure.what)
        return False


def _runs(pod: Object) -> bool:
    """Whether it runs; also one that ends: until it has, it reads."""
    return (pod.get("status") or {}).get("phase") == "Running"


def _listed(cluster: clusters.Cluster, pod: Object) -> set[str] | None:
    """The clusters that this istiod reads; None where it does not tell."""
    place = Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE)
    try:
        done = cluster.execute(place, "discovery", ["pilot-discovery", "request", "GET", "/debug/clusterz"], seconds=10)
        told = json.loads(done.stdout)
    except (Failed, ValueError, RecursionError):
        return None
    return {str(each.get("id")) for each in told if isinstance(each, dict)} if isinstance(told, list) else None


def _reader_token(cluster: clusters.Cluster) -> Object | None:
    """The Secret with the reader's token. Before Kubernetes 1.24 the account names it; istioctl made it since."""
    token = cluster.get(READER_TOKEN)
    if token is not None:
        return token
    for named in (cluster.get(READER) or {}).get("secrets") or []:
        found = cluster.get(Ref(SECRET, str(named.get("name")), SYSTEM_NAMESPACE))
        if found is not None and found.get("type") == "kubernetes.io/service-account-token":
            return found
    return None


def _print(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.strip().encode()).hexdigest()[:12]}"
