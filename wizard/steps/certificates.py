"""One root for the whole mesh, and each cluster's intermediate in secret `cacerts`, before istiod starts.

Every cluster is looked at before a root is generated, and the root is kept durably before it signs anything: there are
never two. What is in the clusters counts: where all have their intermediate, neither root key nor folder is needed any more.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from wizard import kinds
from wizard.certificates import authority, openssl
from wizard.certificates.authority import Root
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT, Inspection
from wizard.certificates.folder import folder_mistakes, root_for
from wizard.certificates.kept import examine, fingerprint_in
from wizard.certificates.openssl import REQUEST
from wizard.certificates.source import given_to, place_of, source_of, typed_place, unfit_root, unusable
from wizard.clusters.kinds import SECRET, Object
from wizard.clusters.port import Right
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import NeedsPerson, Trouble
from wizard.fanout import of_each
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import counted, joined, msg
from wizard.objects.cacerts import CACERTS, held, signs_itself
from wizard.objects.placing import put
from wizard.steps.brought import Brought
from wizard.steps.declared import Declared
from wizard.text import listing, quoted
from wizard.world import World


class RootCertificate(Step):
    """The mesh's root: adopted where clusters have one already, otherwise made and kept, or brought by a person."""

    kind = kinds.ROOT_CERTIFICATE

    def __init__(self, mesh: Mesh, clusters: Sequence[Cluster]) -> None:
        """`clusters`: those that run istiod."""
        guards = tuple(kinds.PREFLIGHT.id(cluster.name) for cluster in mesh.clusters)
        super().__init__(msg("Root certificate"), cluster=None, needs=guards)
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
            told = (msg("{clusters}: {root}", clusters=listing(each), root=root[:16]) for root, each in roots.items())
            return Conflict(
                msg(
                    "the clusters have different roots in secret cacerts ({roots}): they would not trust each other",
                    roots=joined(told, "; "),
                ),
                msg("Decide for one root, delete cacerts and restart istiod in the clusters with the other."),
            )
        adopted = next(iter(roots), None)
        if not lacking:
            return Done(msg("one root in all clusters, {root}", root=str(adopted)[:16]))
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
                msg(
                    "{folder} holds root {brought}, but {clusters} have {standing} in secret cacerts: they would not trust each "
                    "other",
                    folder=str(place),
                    brought=root[:16],
                    clusters=listing(roots[adopted]),
                    standing=adopted[:16],
                ),
                msg(
                    "Bring certificates signed by the root that is there, or delete cacerts where it is wrong (not while istiod "
                    "runs)."
                ),
            )
        root = root or adopted
        if self.mesh.certificates.source == "offline":
            return Done(msg("root {root}, its key kept elsewhere", root=root[:16]) if root else msg("kept elsewhere"))
        return Done(msg("root {root} from {folder}", root=str(root)[:16], folder=str(place)))

    def _with_kept(self, world: World, adopted: str | None, roots: dict[str, list[str]], lacking: str) -> Probe:
        wrong = unfit_root(self.mesh, world, making=adopted is None)
        if wrong:
            return wrong
        kept = world.roots.load()
        if kept is None and adopted is None:
            wanted = msg("to be generated, kept in {folder}", folder=world.roots.place)
            return Needed((Difference(msg("root certificate"), "", None, wanted),))
        own = authority.fingerprint(kept[0]) if kept else None
        if adopted is None or own == adopted:
            return Done(msg("root {root} kept in {folder}", root=own[:16], folder=world.roots.place) if own else "")
        return Conflict(
            msg(
                "{clusters} have a root ({root}) whose key is not here; {others} lack an intermediate signed by it",
                clusters=listing(roots[adopted]),
                root=adopted[:16],
                others=lacking,
            ),
            msg(
                "Put the root's root-cert.pem and root-key.pem into {folder}, or the intermediates into secret cacerts of those "
                "clusters.",
                folder=world.roots.place,
            ),
        )

    def apply(self, world: World, job: Job) -> None:
        root = authority.make_root(self.mesh.name)
        world.roots.save(root.certificate, root.key)
        job.say(
            msg(
                "root key kept in {folder}: move it to a safe place; it is needed again only to add a cluster",
                folder=world.roots.place,
            )
        )

    def wanted(self) -> object:
        return self.mesh.certificates.source

    def commands(self) -> list[Command]:
        source = self.mesh.certificates.source
        if source == "existing":
            return [Command(_same_root(self.members), msg("The clusters must have the same root already."))]
        if source == "directory":
            verify = openssl.verify_folder(typed_place(self.mesh), [cluster.name for cluster in self.members])
            return [Command(verify, msg("Every intermediate leads up to the one root."))]
        if source == "offline":
            names = [cluster.name for cluster in self.members]
            return [
                Command(
                    openssl.request_all(typed_place(self.mesh), names, self.mesh.trust_domain),
                    msg(
                        "The holder of the root key signs each {request}, beside {root} and its key, as the comments say.",
                        request=REQUEST,
                        root=ROOT,
                    ),
                )
            ]
        return [
            Command(
                openssl.make_root("certs", self.mesh.name),
                msg("One root for all clusters; keep its key off the machines that run the mesh."),
            )
        ]


class Intermediate(Declared):
    """Secret cacerts of one cluster, signed by the mesh's root. What another made is never overwritten."""

    kind = kinds.INTERMEDIATE
    rights = (Right("create", SECRET, SYSTEM_NAMESPACE), Right("patch", SECRET, SYSTEM_NAMESPACE))

    def __init__(self, mesh: Mesh, cluster: Cluster, clusters: Sequence[Cluster]) -> None:
        """`clusters`: all that run istiod."""
        super().__init__(
            msg("Intermediate certificate"), mesh, cluster,
            needs=(kinds.ROOT_CERTIFICATE.id(), kinds.NAMESPACE.id(cluster.name)),
        )  # fmt: skip
        self.peers = tuple(peer for peer in clusters if peer.name != cluster.name)
        self._brought = Brought(mesh, cluster, self.peers)

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
            other = self._brought.conflict(found)
        if other:
            return other
        left = (found.expires - datetime.now(UTC)).days if found.expires else 0
        return Done(
            counted(
                "{certificate}, expires in {count} days",
                "{certificate}, expires in {count} days",
                left,
                certificate=found.certificate[:16],
            )
        )

    def _lacking(self, world: World) -> Probe:
        source = source_of(self.mesh, world)
        if source == "existing":
            return _nothing_to_adopt(self.member.name)
        signing = signs_itself(world, self.member)
        if signing:
            return signing
        if source == "generate":
            return Needed((Difference(str(CACERTS), "", None, msg("to be signed by the mesh's root")),))
        given = given_to(self.mesh, self.member)
        if given.mistakes:
            return unusable(given.mistakes)
        wanted = msg("to be signed by a root elsewhere")
        if given.complete:
            certificate, folder = given.inspection.certificate[:16], place_of(self.mesh) / self.member.name
            wanted = msg("certificate {certificate} from {folder}", certificate=certificate, folder=str(folder))
        return Needed((Difference(str(CACERTS), "", None, wanted),))

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
            msg(
                "{cluster}: cacerts has another root ({root}) than the one kept in {folder}",
                cluster=self.member.name,
                root=found.root[:16],
                folder=world.roots.place,
            ),
            msg("Keep one of them: move the folder away, or delete the secret before istiod runs."),
        )

    def apply(self, world: World, job: Job) -> None:
        source = source_of(self.mesh, world)
        if source == "directory":
            files = self._brought.from_folder(world, job)
        elif source == "offline":
            files = self._brought.from_elsewhere(world, job)
        else:
            kept = world.roots.load()
            if kept is None:
                raise NeedsPerson(
                    msg("the root key is not in {folder} any more", folder=world.roots.place),
                    msg("Put root-cert.pem and root-key.pem back."),
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
                msg("Each cluster its own intermediate, in place before istiod starts."),
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
        msg(
            "{clusters}: no secret cacerts in {namespace}, and certificates.source is existing",
            clusters=names,
            namespace=SYSTEM_NAMESPACE,
        ),
        msg("Put the intermediates there, or set certificates.source to generate."),
    )
