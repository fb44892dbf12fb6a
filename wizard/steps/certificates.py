"""One root for the whole mesh, and each cluster's intermediate in secret `cacerts`, before istiod starts.

Every cluster is looked at before a root is generated, and the root is kept durably before it signs anything: there are
never two. What is in the clusters counts: where all have their intermediate, neither root key nor folder is needed any more.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from wizard.certificates import authority, openssl
from wizard.certificates.authority import Root
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT, Inspection
from wizard.certificates.folder import Given, all_given, folder_mistakes, root_for, shared
from wizard.certificates.kept import examine, fingerprint_in
from wizard.certificates.openssl import REQUEST
from wizard.certificates.request import write_request
from wizard.certificates.source import given_to, place_of, source_of, typed_place, unfit_root, unusable
from wizard.clusters.kinds import SECRET, Object
from wizard.clusters.port import Right
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import NeedsPerson, Trouble
from wizard.fanout import of_each
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.objects.cacerts import CACERTS, held, root_in, signs_itself
from wizard.objects.placing import put
from wizard.steps import kinds
from wizard.steps.declared import Declared
from wizard.text import listing, printable, quoted
from wizard.world import World


class RootCertificate(Step):
    """The mesh's root: adopted where clusters have one already, otherwise made and kept, or brought by a person."""

    kind = kinds.ROOT_CERTIFICATE

    def __init__(self, mesh: Mesh, clusters: Sequence[Cluster]) -> None:
        """`clusters`: those that run istiod."""
        guards = tuple(kinds.PREFLIGHT.id(cluster.name) for cluster in mesh.clusters)
        super().__init__("Root certificate", cluster=None, needs=guards)
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
        source = source_of(self.mesh, world)
        if source == "existing":
            return _nothing_to_adopt(listing(cluster.name for cluster in lacking))
        if source in ("directory", "offline"):
            return self._brought(adopted, roots, lacking)
        return self._with_kept(world, adopted, roots, listing(cluster.name for cluster in lacking))

    def _brought(self, adopted: str | None, roots: dict[str, list[str]], lacking: list[Cluster]) -> Probe:
        mistakes = folder_mistakes(self.mesh, lacking)
        if mistakes:
            return unusable([mistake.text for mistake in mistakes])
        place = place_of(self.mesh)
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
        wrong = unfit_root(self.mesh, world, making=adopted is None)
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
                Command(
                    openssl.verify_folder(typed_place(self.mesh), names), "Every intermediate leads up to the one root."
                )
            ]
        if source == "offline":
            names = [cluster.name for cluster in self.members]
            return [
                Command(
                    openssl.request_all(typed_place(self.mesh), names, self.mesh.trust_domain),
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

    kind = kinds.INTERMEDIATE
    rights = (Right("create", SECRET, SYSTEM_NAMESPACE), Right("patch", SECRET, SYSTEM_NAMESPACE))

    def __init__(self, mesh: Mesh, cluster: Cluster, clusters: Sequence[Cluster]) -> None:
        """`clusters`: all that run istiod."""
        super().__init__(
            "Intermediate certificate", mesh, cluster,
            needs=(kinds.ROOT_CERTIFICATE.id(), kinds.NAMESPACE.id(cluster.name)),
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
        source = source_of(self.mesh, world)
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
        source = source_of(self.mesh, world)
        if source == "existing":
            return _nothing_to_adopt(self.member.name)
        signing = signs_itself(world, self.member)
        if signing:
            return signing
        if source == "generate":
            return Needed((Difference(str(CACERTS), "", None, "to be signed by the mesh's root"),))
        given = given_to(self.mesh, self.member)
        if given.mistakes:
            return unusable(given.mistakes)
        told = f"certificate {given.inspection.certificate[:16]} from {place_of(self.mesh) / self.member.name}"
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
        given = given_to(self.mesh, self.member)
        brought = given.inspection
        if not given.complete or (brought.certificate, brought.root) == (found.certificate, found.root):
            return None  # a folder that was cleared away since, or is in disorder, takes nothing from what works
        what, ours, theirs = "certificate", brought.certificate, found.certificate
        if ours == theirs:
            what, ours, theirs = "root", brought.root, found.root
        return Conflict(
            f"{self.member.name}: {CACERTS} holds {what} {theirs[:16]}, and {place_of(self.mesh)} {ours[:16]}; "
            "it is not overwritten",
            f"Put the files of the one that is there into {place_of(self.mesh) / self.member.name}, or take that folder away; "
            "or, while no istiod runs, delete the secret.",
        )

    def apply(self, world: World, job: Job) -> None:
        source = source_of(self.mesh, world)
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
            conflict = unusable(examined.mistakes)
            raise NeedsPerson(conflict.what, conflict.remedy)
        for worry in examined.worries:
            job.say(worry)
        return authority.make_intermediate(root, self.member.name, self.mesh.trust_domain)

    def _from_folder(self, world: World, job: Job) -> dict[str, bytes]:
        given = given_to(self.mesh, self.member)
        self._must_fit(given, world)
        return self._taken(given, job)

    def _must_fit(self, given: Given, world: World) -> None:
        wrong = given.mistakes or self._distrusted(world, given.inspection.root)
        if wrong:
            conflict = unusable(wrong)
            raise NeedsPerson(conflict.what, conflict.remedy)

    def _from_elsewhere(self, world: World, job: Job) -> dict[str, bytes]:
        place, name = place_of(self.mesh), self.member.name
        for path in write_request(place, name, self.mesh.trust_domain):
            job.say(f"written: {path}")

        def look() -> tuple[Given | None, str]:
            given = given_to(self.mesh, self.member)
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
        place = place_of(self.mesh)
        others = {peer.name: root_in(world, peer.name) or root_for(place, peer.name) for peer in self.peers}
        return [
            f"{self.member.name} would get root {root[:16]}, {name} has {other[:16]}"
            for name, other in others.items()
            if root and other and other != root
        ]

    def _instructions(self, world: World, seen: str) -> str:
        place, name = place_of(self.mesh), self.member.name
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
            made, root = openssl.collect(typed_place(self.mesh), name, folder), folder
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


def _nothing_to_adopt(names: str) -> Conflict:
    return Conflict(
        f"{names}: no secret cacerts in {SYSTEM_NAMESPACE}, and certificates.source is existing",
        "Put the intermediates there, or set certificates.source to generate.",
    )
