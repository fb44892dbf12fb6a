"""Intermediates that a person brings: ready in a folder, or signed there by the holder of a root key that is kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.certificates import openssl
from wizard.certificates.bundle import CERT, KEY, ROOT, Inspection
from wizard.certificates.folder import Given, all_given, root_for, shared
from wizard.certificates.openssl import REQUEST
from wizard.certificates.request import write_request
from wizard.certificates.source import given_to, place_of, unusable
from wizard.engine.step import Conflict, Job
from wizard.errors import NeedsPerson
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.cacerts import CACERTS, root_in
from wizard.text import listing, printable, quoted
from wizard.world import World


class Brought:
    """What the mesh file's folder holds for one cluster, beside what its peers have."""

    def __init__(self, mesh: Mesh, member: Cluster, peers: Sequence[Cluster]) -> None:
        """`peers`: the others that run istiod."""
        self.mesh = mesh
        self.member = member
        self.peers = tuple(peers)

    def conflict(self, found: Inspection) -> Conflict | None:
        """The conflict where another intermediate than the one in the cluster was brought."""
        given = given_to(self.mesh, self.member)
        brought = given.inspection
        if not given.complete or (brought.certificate, brought.root) == (found.certificate, found.root):
            return None  # a folder that was cleared away since, or is in disorder, takes nothing from what works
        name, place = self.member.name, place_of(self.mesh)
        if brought.certificate == found.certificate:
            what = msg(
                "{cluster}: {secret} holds root {standing}, and {folder} {brought}; it is not overwritten",
                cluster=name, secret=str(CACERTS), standing=found.root[:16], folder=str(place), brought=brought.root[:16],
            )  # fmt: skip
        else:
            what = msg(
                "{cluster}: {secret} holds certificate {standing}, and {folder} {brought}; it is not overwritten",
                cluster=name, secret=str(CACERTS), standing=found.certificate[:16], folder=str(place),
                brought=brought.certificate[:16],
            )  # fmt: skip
        remedy = msg(
            "Put the files of the one that is there into {folder}, or take that folder away; or, while no istiod runs, delete "
            "the secret.",
            folder=str(place / name),
        )
        return Conflict(what, remedy)

    def from_folder(self, world: World, job: Job) -> dict[str, bytes]:
        """The files, ready when they are asked for. NeedsPerson where they are of no use."""
        given = given_to(self.mesh, self.member)
        self._must_fit(given, world)
        return self._taken(given, job)

    def _must_fit(self, given: Given, world: World) -> None:
        wrong = given.mistakes or self._distrusted(world, given.inspection.root)
        if wrong:
            conflict = unusable(wrong)
            raise NeedsPerson(conflict.what, conflict.remedy)

    def from_elsewhere(self, world: World, job: Job) -> dict[str, bytes]:
        """The files, once the holder of the root key has signed the request that is written for that."""
        place, name = place_of(self.mesh), self.member.name
        for path in write_request(place, name, self.mesh.trust_domain):
            job.say(msg("written: {path}", path=str(path)))

        def look() -> tuple[Given | None, str]:
            given = given_to(self.mesh, self.member)
            wrong = given.mistakes or self._distrusted(world, given.inspection.root)
            if wrong:
                return None, joined(wrong, "; ")
            if given.awaited:
                awaited = msg("not there yet: {files}", files=listing(map(str, given.awaited)))
                return None, joined((awaited, *given.hints), "; ")
            return given, ""

        found, seen = look()
        if found is None:
            what = msg(
                "{cluster}: {request} must be signed by the root that is kept elsewhere",
                cluster=name, request=str(place / name / REQUEST),
            )  # fmt: skip
            found = job.person(what, self._instructions(world, seen), look)
        return self._taken(found, job)

    def _taken(self, given: Given, job: Job) -> dict[str, bytes]:
        found = given.inspection
        job.say(
            msg(
                "certificate {certificate}, signed under root {root}",
                certificate=found.certificate[:16], root=found.root[:16],
            )
        )  # fmt: skip
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
            msg(
                "{cluster} would get root {root}, {peer} has {other}",
                cluster=self.member.name, root=root[:16], peer=name, other=other[:16],
            )
            for name, other in others.items()
            if root and other and other != root
        ]  # fmt: skip

    def _instructions(self, world: World, seen: str) -> str:
        place, name = place_of(self.mesh), self.member.name
        there = next((root for peer in self.peers if (root := root_in(world, peer.name))), "")
        request, signed, root = str(place / name / REQUEST), str(place / name / CERT), str(place / ROOT)
        back = msg("Bring back {certificate} and {root}.", certificate=signed, root=root)
        if there:
            back = msg(
                "Bring back {certificate} and {root}, the root that its peers have already: SHA-256 {fingerprint}.",
                certificate=signed, root=root, fingerprint=there,
            )  # fmt: skip
        return joined(
            [
                msg(
                    "Take {request} to the holder of the root key. {key}, beside it, stays where it is.",
                    request=request, key=KEY,
                ),
                msg(
                    "There, in a folder with {root}, root-key.pem and {request}:", root=ROOT, request=f"{name}/{REQUEST}"
                ),
                f"\n{openssl.sign(quoted(name), '.', self.mesh.trust_domain)}\n",
                back,
                msg("Now: {seen}.", seen=printable(seen, 2000)),
            ]
        )  # fmt: skip
