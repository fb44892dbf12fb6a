"""One root for the whole mesh, and each cluster's intermediate in secret `cacerts`, before istiod starts.

Every cluster is looked at before a root is generated, and the root is kept durably before it signs anything: there are
never two. What is in the clusters counts: where all have their intermediate, neither root key nor folder is needed any more.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from wizard.certificates import authority, openssl
from wizard.certificates.authority import Root
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT, Inspection, inspect
from wizard.certificates.folder import FIELD, Given, all_given, folder_mistakes, given_for, root_for, shared
from wizard.certificates.kept import examine, fingerprint_in
from wizard.certificates.openssl import REQUEST
from wizard.certificates.request import refused_folder, write_request
from wizard.clusters.kinds import DEPLOYMENT, SECRET, Object, Ref
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import Failed, Mistake, NeedsPerson, Trouble
from wizard.fanout import of_each
from wizard.istio.versions import minor_of
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.objects.placing import put
from wizard.steps.declared import Declared
from wizard.text import listing, printable, quoted
from wizard.world import World

CACERTS = Ref(SECRET, "cacerts", SYSTEM_NAMESPACE)
SELF_SIGNED = Ref(SECRET, "istio-ca-secret", SYSTEM_NAMESPACE)  # where istiod keeps a root that it made itself
_TLS_FORM = {CERT: "tls.crt", KEY: "tls.key", ROOT: "ca.crt"}  # of a Secret of type kubernetes.io/tls
_TLS_SINCE = (1, 15)


def certificate_mistakes(mesh: Mesh, world: World, clusters: Sequence[Cluster]) -> tuple[Mistake, ...]:
    """What is wrong with the certificates that the mesh file's folder brings for those of these clusters that lack them, or
    with the root that is kept for them and its folder: bad input, told before anything is touched. `clusters`: those that run
    istiod. Raises Trouble where one cannot be asked.
    """
    source = _source(mesh, world)
    wrong = _unfit_root(mesh, world, making=True) if source == "generate" else None
    if not wrong and source not in ("directory", "offline"):
        return ()
    there = of_each(clusters, lambda cluster: world.cluster(cluster.name).get(CACERTS))
    lacking = [cluster for cluster, secret in zip(clusters, there, strict=True) if secret is None]
    if wrong and any(there):  # then none is made
        wrong = _unfit_root(mesh, world, making=False) if lacking else None
    if source == "generate":
        return (Mistake(FIELD, printable(f"{wrong.what.removesuffix('.')}; {wrong.remedy}", 2000)),) if wrong else ()
    guarded = _unsafe_folders(mesh, lacking) if source == "offline" else ()
    return (*guarded, *folder_mistakes(mesh, lacking))


class RootCertificate(Step):
    """The mesh's root: adopted where clusters have one already, otherwise made and kept, or brought by a person."""

    def __init__(self, mesh: Mesh, clusters: Sequence[Cluster]) -> None:
        """`clusters`: those that run istiod."""
        guards = tuple(f"{cluster.name}/preflight" for cluster in mesh.clusters)
        super().__init__("root-ca", "Root certificate", cluster=None, needs=guards)
        self.mesh = mesh
        self.members = tuple(clusters)

    def probe(self, world: World) -> Probe:
        roots: dict[str, list[str]] = {}
        lacking: list[Cluster] = []
        everywhere = of_each(self.members, lambda cluster: held(world, self.mesh, cluster.name))
        for cluster, found in zip(self.members, everywhere, strict=True):
            if isinstance(found, Conflict):
                return found
            if found is None:
                lacking.append(cluster)
            else:
                roots.setdefault(found.root, []).append(cluster.name)
        if len(roots) > 1:
            told = "; ".join(f"{listing(names)}: {root[:16]}" for root, names in roots.items())
            return Conflict(
                f"the clusters have different roots in secret cacerts ({told}): they would not trust each other",
                "Decide for one root, delete cacerts and restart istiod in the clusters with the other.",
            )
        adopted = next(iter(roots), None)
        if not lacking:
            return Done(f"one root in all clusters, {str(adopted)[:16]}")
        source = _source(self.mesh, world)
        if source == "existing":
            return _nothing_to_adopt(listing(cluster.name for cluster in lacking))
        if source in ("directory", "offline"):
            return self._brought(adopted, roots, lacking)
        return self._with_kept(world, adopted, roots, listing(cluster.name for cluster in lacking))

    def _brought(self, adopted: str | None, roots: dict[str, list[str]], lacking: list[Cluster]) -> Probe:
        mistakes = folder_mistakes(self.mesh, lacking)
        if mistakes:
            return _unusable([mistake.text for mistake in mistakes])
        place = _place(self.mesh)
        root = next((found for cluster in lacking if (found := root_for(place, cluster.name))), None)
        if root and adopted and root != adopted:
            return Conflict(
                f"{place} holds root {root[:16]}, but {listing(roots[adopted])} have {adopted[:16]} in secret cacerts: they "
                "would not trust each other",
                "Bring certificates signed by the root that is there, or delete cacerts where it is wrong (not while istiod "
                "runs).",
            )
        root = root or adopted
        if self.mesh.certificates.source == "offline":
            return Done(f"root {root[:16]}, its key kept elsewhere" if root else "kept elsewhere")
        return Done(f"root {str(root)[:16]} from {place}")

    def _with_kept(self, world: World, adopted: str | None, roots: dict[str, list[str]], lacking: str) -> Probe:
        wrong = _unfit_root(self.mesh, world, making=adopted is None)
        if wrong:
            return wrong
        kept = world.roots.load()
        if kept is None and adopted is None:
            return Needed((Difference("root certificate", "", None, f"to be generated, kept in {world.roots.place}"),))
        own = authority.fingerprint(kept[0]) if kept else None
        if adopted is None or own == adopted:
            return Done(f"root {own[:16]} kept in {world.roots.place}" if own else "")
        return Conflict(
            f"{listing(roots[adopted])} have a root ({adopted[:16]}) whose key is not here; {lacking} lack an "
            "intermediate signed by it",
            f"Put the root's root-cert.pem and root-key.pem into {world.roots.place}, or the intermediates into "
            "secret cacerts of those clusters.",
        )

    def apply(self, world: World, job: Job) -> None:
        root = authority.make_root(self.mesh.name)
        world.roots.save(root.certificate, root.key)
        job.say(
            f"root key kept in {world.roots.place}: move it to a safe place; it is needed again only to add a cluster"
        )

    def wanted(self) -> object:
        return self.mesh.certificates.source

    def commands(self) -> list[Command]:
        source = self.mesh.certificates.source
        if source == "existing":
            return [Command(_same_root(self.members), "The clusters must have the same root already.")]
        if source == "directory":
            names = [cluster.name for cluster in self.members]
            return [
                Command(openssl.verify_folder(_typed(self.mesh), names), "Every intermediate leads up to the one root.")
            ]
        if source == "offline":
            names = [cluster.name for cluster in self.members]
            return [
                Command(
                    openssl.request_all(_typed(self.mesh), names, self.mesh.trust_domain),
                    f"The holder of the root key signs each {REQUEST}, beside {ROOT} and its key, as the comments say.",
                )
            ]
        return [
            Command(
                openssl.make_root("certs", self.mesh.name),
                "One root for all clusters; keep its key off the machines that run the mesh.",
            )
        ]


class Intermediate(Declared):
    """Secret cacerts of one cluster, signed by the mesh's root. What another made is never overwritten."""

    def __init__(self, mesh: Mesh, cluster: Cluster, clusters: Sequence[Cluster]) -> None:
        """`clusters`: all that run istiod."""
        super().__init__(
            f"{cluster.name}/cacerts", "Intermediate certificate", mesh, cluster,
            needs=("root-ca", f"{cluster.name}/namespace"),
        )  # fmt: skip
        self.peers = tuple(peer for peer in clusters if peer.name != cluster.name)

    def manifests(self) -> list[Object]:
        # What can be said beforehand; the content is signed when it is made.
        return [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": CACERTS.name, "namespace": CACERTS.namespace},
                "type": "Opaque",
            }
        ]

    def probe(self, world: World) -> Probe:
        found = held(world, self.mesh, self.member.name)
        if isinstance(found, Conflict):
            return found
        if found is None:
            return self._lacking(world)
        source = _source(self.mesh, world)
        other = None
        if source == "generate":
            other = self._signed_by_another(world, found)
        elif source in ("directory", "offline"):
            other = self._another_brought(found)
        if other:
            return other
        left = (found.expires - datetime.now(UTC)).days if found.expires else 0
        return Done(f"{found.certificate[:16]}, expires in {left} days")

    def _lacking(self, world: World) -> Probe:
        source = _source(self.mesh, world)
        if source == "existing":
            return _nothing_to_adopt(self.member.name)
        signing = _signs_itself(world, self.member)
        if signing:
            return signing
        if source == "generate":
            return Needed((Difference(str(CACERTS), "", None, "to be signed by the mesh's root"),))
        given = _given(self.mesh, self.member)
        if given.mistakes:
            return _unusable(given.mistakes)
        told = f"certificate {given.inspection.certificate[:16]} from {_place(self.mesh) / self.member.name}"
        return Needed(
            (Difference(str(CACERTS), "", None, told if given.complete else "to be signed by a root elsewhere"),)
        )

    def _signed_by_another(self, world: World, found: Inspection) -> Conflict | None:
        try:
            kept = world.roots.load()
        except Trouble:  # told by the root's step where a root is needed; what works is not touched
            return None
        if not kept or fingerprint_in(Root(*kept)) in ("", found.root):
            return None
        if all(world.cluster(peer.name).get(CACERTS) for peer in self.peers):
            return None
        return Conflict(
            f"{self.member.name}: cacerts has another root ({found.root[:16]}) than the one kept in {world.roots.place}",
            "Keep one of them: move the folder away, or delete the secret before istiod runs.",
        )

    def _another_brought(self, found: Inspection) -> Conflict | None:
        given = _given(self.mesh, self.member)
        brought = given.inspection
        if not given.complete or (brought.certificate, brought.root) == (found.certificate, found.root):
            return None  # a folder that was cleared away since, or is in disorder, takes nothing from what works
        what, ours, theirs = "certificate", brought.certificate, found.certificate
        if ours == theirs:
            what, ours, theirs = "root", brought.root, found.root
        return Conflict(
            f"{self.member.name}: {CACERTS} holds {what} {theirs[:16]}, and {_place(self.mesh)} {ours[:16]}; "
            "it is not overwritten",
            f"Put the files of the one that is there into {_place(self.mesh) / self.member.name}, or take that folder away; or, "
            "while no istiod runs, delete the secret.",
        )

    def apply(self, world: World, job: Job) -> None:
        source = _source(self.mesh, world)
        if source == "directory":
            files = self._from_folder(world, job)
        elif source == "offline":
            files = self._from_elsewhere(world, job)
        else:
            kept = world.roots.load()
            if kept is None:
                raise NeedsPerson(
                    f"the root key is not in {world.roots.place} any more", "Put root-cert.pem and root-key.pem back."
                )
            files = self._signed(Root(*kept), world.roots.place, job)
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        put(world.cluster(self.cluster), {**self.manifests()[0], "data": data}, self.mesh.name)

    def _signed(self, root: Root, place: str, job: Job) -> dict[str, bytes]:
        """The files of an intermediate of this root, which may have changed since it was looked at."""
        examined = examine(root, self.mesh.trust_domain, place)
        if examined.mistakes:
            conflict = _unusable(examined.mistakes)
            raise NeedsPerson(conflict.what, conflict.remedy)
        for worry in examined.worries:
            job.say(worry)
        return authority.make_intermediate(root, self.member.name, self.mesh.trust_domain)

    def _from_folder(self, world: World, job: Job) -> dict[str, bytes]:
        given = _given(self.mesh, self.member)
        self._must_fit(given, world)
        return self._taken(given, job)

    def _must_fit(self, given: Given, world: World) -> None:
        wrong = given.mistakes or self._distrusted(world, given.inspection.root)
        if wrong:
            conflict = _unusable(wrong)
            raise NeedsPerson(conflict.what, conflict.remedy)

    def _from_elsewhere(self, world: World, job: Job) -> dict[str, bytes]:
        place, name = _place(self.mesh), self.member.name
        for path in write_request(place, name, self.mesh.trust_domain):
            job.say(f"written: {path}")

        def look() -> tuple[Given | None, str]:
            given = _given(self.mesh, self.member)
            wrong = given.mistakes or self._distrusted(world, given.inspection.root)
            if wrong:
                return None, "; ".join(wrong)
            if given.awaited:
                return None, "; ".join((f"not there yet: {listing(map(str, given.awaited))}", *given.hints))
            return given, ""

        found, seen = look()
        if found is None:
            what = f"{name}: {place / name / REQUEST} must be signed by the root that is kept elsewhere"
            found = job.person(what, self._instructions(world, seen), look)
        return self._taken(found, job)

    def _taken(self, given: Given, job: Job) -> dict[str, bytes]:
        found = given.inspection
        job.say(f"certificate {found.certificate[:16]}, signed under root {found.root[:16]}")
        clusters = (self.member, *self.peers)
        sharing = job.shared.once("shared intermediates", lambda: shared(all_given(self.mesh, clusters)))
        for worry in (*given.worries, *sharing):
            job.say(worry)
        return dict(found.files)

    def _distrusted(self, world: World, root: str) -> list[str]:
        """Why the peers would not trust this root: theirs, in the cluster or else in the folder, is another."""
        place = _place(self.mesh)
        others = {peer.name: root_in(world, peer.name) or root_for(place, peer.name) for peer in self.peers}
        return [
            f"{self.member.name} would get root {root[:16]}, {name} has {other[:16]}"
            for name, other in others.items()
            if root and other and other != root
        ]

    def _instructions(self, world: World, seen: str) -> str:
        place, name = _place(self.mesh), self.member.name
        there = next((root for peer in self.peers if (root := root_in(world, peer.name))), "")
        root = f", the root that its peers have already: SHA-256 {there}" if there else ""
        return (
            f"Take {place / name / REQUEST} to the holder of the root key. {KEY}, beside it, stays where it is.\n"
            f"There, in a folder with {ROOT}, root-key.pem and {name}/{REQUEST}:\n\n"
            f"{openssl.sign(quoted(name), '.', self.mesh.trust_domain)}\n\n"
            f"Bring back {place / name / CERT} and {place / ROOT}{root}.\n"
            f"Now: {printable(seen, 2000)}."
        )

    def commands(self) -> list[Command]:
        source = self.mesh.certificates.source
        if source == "existing":
            return []
        name, tool = self.member.name, kubectl(self.member)
        folder, root = quoted(f"certs/{name}"), "certs"
        if source == "generate":
            made = openssl.make_intermediate(folder, root, name, self.mesh.trust_domain)
        else:
            made, root = openssl.collect(_typed(self.mesh), name, folder), folder
        return [
            Command(
                f"{made}\n"
                f"{tool} create secret generic {CACERTS.name} -n {SYSTEM_NAMESPACE} --dry-run=client -o yaml "
                f"--from-file={folder}/{CERT} --from-file={folder}/{KEY} "
                f"--from-file={root}/{ROOT} --from-file={folder}/{CHAIN} |\n"
                f"  {tool} apply --server-side -f -",
                "Each cluster its own intermediate, in place before istiod starts.",
            )
        ]


def root_in(world: World, cluster: str) -> str:
    """The fingerprint of the root in a cluster's `cacerts`; empty where there is none that can be read."""
    data = (world.cluster(cluster).get(CACERTS) or {}).get("data") or {}
    try:
        name = _TLS_FORM[ROOT] if _TLS_FORM[CERT] in data else ROOT
        return authority.fingerprint(base64.b64decode(data.get(name) or ""))
    except ValueError:
        return ""


def held(world: World, mesh: Mesh, cluster: str) -> Inspection | Conflict | None:
    """What a cluster's `cacerts` holds, or the conflict that it is not usable; None where there is none."""
    secret = world.cluster(cluster).get(CACERTS)
    if secret is None:
        return None
    remedy = "Put a usable intermediate there, or delete the secret so that one is made (not while istiod runs)."
    try:
        data = {name: base64.b64decode(content or "") for name, content in (secret.get("data") or {}).items()}
    except ValueError as error:
        raise Failed(f"{cluster}: {CACERTS} cannot be decoded", "Look at it with kubectl.") from error
    form = ""
    if _TLS_FORM[CERT] in data:
        form = f" ({', '.join(f'{name} stands for {ours}' for ours, name in _TLS_FORM.items())})"
        if (minor_of(str(mesh.istio.version)) or _TLS_SINCE) < _TLS_SINCE:
            what = (
                f"{cluster}: {CACERTS} has the form kubernetes.io/tls, which istiod {mesh.istio.version} does not read"
            )
            return Conflict(what, remedy)
        data = {ours: data[name] for ours, name in _TLS_FORM.items() if name in data}
        # What istiod itself makes of this form.
        data[CHAIN] = data.get(CERT, b"") + b"\n" + data.get(ROOT, b"")
    found = inspect(data, mesh.trust_domain, strict=False)
    broken = found.of("broken")
    if broken:
        return Conflict(f"{cluster}: {CACERTS} cannot be used: {'; '.join(map(str, broken))}{form}", remedy)
    return found


def _unfit_root(mesh: Mesh, world: World, *, making: bool) -> Conflict | None:
    """Why the root that is kept cannot sign; or, where there is none and one is to be made, why it cannot be kept."""
    try:
        kept = world.roots.load()
    except Trouble as trouble:
        return Conflict(trouble.what, trouble.remedy)
    if kept is None:
        return world.roots.obstacle() if making else None
    mistakes = examine(Root(*kept), mesh.trust_domain, world.roots.place).mistakes
    return _unusable(mistakes) if mistakes else None


def _unsafe_folders(mesh: Mesh, clusters: Sequence[Cluster]) -> Iterator[Mistake]:
    """The folders of these clusters in which no key would be kept safe."""
    for cluster in clusters:
        why = refused_folder(_place(mesh), cluster.name)
        if why:
            yield Mistake(FIELD, printable(why, 2000))


def _source(mesh: Mesh, world: World) -> str:
    """Where certificates come from. The demo touches no file, so it makes up what a person would bring."""
    source = mesh.certificates.source
    return "generate" if world.simulated and source in ("directory", "offline") else source


def _place(mesh: Mesh) -> Path:
    if mesh.certificates.path is None:
        raise Failed("certificates.path names no folder", "Name one in the mesh file.")
    return mesh.certificates.path


def _typed(mesh: Mesh) -> Path:
    return (mesh.certificates.path or Path("certificates")).absolute()


def _given(mesh: Mesh, cluster: Cluster) -> Given:
    awaiting = mesh.certificates.source == "offline"
    return given_for(_place(mesh), cluster.name, mesh.trust_domain, awaiting=awaiting)


def _nothing_to_adopt(names: str) -> Conflict:
    return Conflict(
        f"{names}: no secret cacerts in {SYSTEM_NAMESPACE}, and certificates.source is existing",
        "Put the intermediates there, or set certificates.source to generate.",
    )


def _unusable(wrong: Sequence[str]) -> Conflict:
    more = f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    return Conflict(
        f"the certificates cannot be used: {'; '.join(wrong[:4])}{more}", "Correct the files and try again."
    )


def _signs_itself(world: World, member: Cluster) -> Conflict | None:
    """An istiod that runs on a root of its own would change it at its next start, and cut off every workload it has."""
    cluster = world.cluster(member.name)
    if cluster.get(SELF_SIGNED) is None or not cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod"):
        return None
    return Conflict(
        f"{member.name}: istiod runs already and signs with a root of its own ({SELF_SIGNED}); with {CACERTS} its workloads "
        "would lose each other until all are restarted",
        f"Uninstall that Istio; or, in a quiet hour, make secret {CACERTS.name} yourself and restart istiod, the gateways and "
        "all workloads.",
    )


def _same_root(clusters: Sequence[Cluster]) -> str:
    """The check, typed, that these clusters have one root in their `cacerts`."""
    asked = "".join(
        f"  {kubectl(cluster)} get secret {CACERTS.name} -n {SYSTEM_NAMESPACE} "
        "-o jsonpath='{.data.root-cert\\.pem}{.data.ca\\.crt}' | sha256sum || exit\n"
        for cluster in clusters
    )
    return (
        f"roots=$(\n{asked})\n"
        '[ "$(sort -u <<<"$roots" | wc -l)" = 1 ] || { echo "the clusters have different roots in cacerts" >&2; exit 3; }'
    )
