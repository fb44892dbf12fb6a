"""One root for the whole mesh, and each cluster's intermediate in secret `cacerts`, before istiod starts.

Every cluster is looked at before a root is generated, and the root is kept durably before it signs anything: there are
never two.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from wizard.certificates import authority
from wizard.clusters.kinds import SECRET, Object, Ref
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step, World
from wizard.errors import Failed, NeedsPerson
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.steps.declared import Declared, kubectl, put
from wizard.text import listing, one_line

CACERTS = Ref(SECRET, "cacerts", SYSTEM_NAMESPACE)


class RootCertificate(Step):
    """The mesh's root: adopted where clusters have one already, otherwise made and kept."""

    def __init__(self, mesh: Mesh) -> None:
        guards = tuple(f"{cluster.name}/preflight" for cluster in mesh.clusters)
        super().__init__("root-ca", "Root certificate", cluster=None, needs=guards)
        self.mesh = mesh

    def probe(self, world: World) -> Probe:
        roots: dict[str, list[str]] = {}
        lacking: list[str] = []
        for cluster in self.mesh.clusters:
            files = cacerts_of(world, cluster.name)
            if files is None:
                lacking.append(cluster.name)
                continue
            found = facts_of(files, cluster.name, self.mesh.trust_domain)
            if isinstance(found, Conflict):
                return found
            roots.setdefault(found.root, []).append(cluster.name)
        if len(roots) > 1:
            told = "; ".join(f"{listing(names)}: {root[:16]}" for root, names in roots.items())
            return Conflict(
                f"the clusters have different roots in secret cacerts ({told}): they would not trust each other",
                "Decide for one root, delete cacerts and restart istiod in the clusters with the other.",
            )
        if not lacking:
            return Done(f"one root in all clusters, {next(iter(roots))[:16]}")
        if self.mesh.certificates.source == "existing":
            return Conflict(
                f"{listing(lacking)}: no secret cacerts in {SYSTEM_NAMESPACE}, and certificates.source is existing",
                "Put the intermediates there, or set certificates.source to generate.",
            )
        return self._with_kept(world, next(iter(roots), None), roots, lacking)

    def _with_kept(self, world: World, adopted: str | None, roots: dict[str, list[str]], lacking: list[str]) -> Probe:
        kept = world.roots.load()
        if kept is None and adopted is None:
            return Needed((Difference("root certificate", "", None, f"to be generated, kept in {world.roots.place}"),))
        own = authority.fingerprint(kept[0]) if kept else None
        if adopted is None or own == adopted:
            return Done(f"root {own[:16]} kept in {world.roots.place}" if own else "")
        return Conflict(
            f"{listing(roots[adopted])} have a root ({adopted[:16]}) whose key is not here; {listing(lacking)} lack an "
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
        if self.mesh.certificates.source == "existing":
            return []
        return [
            Command(
                "mkdir -p certs && chmod 700 certs\n"
                "if [ ! -e certs/root-cert.pem ]; then\n"
                "  openssl ecparam -name secp384r1 -genkey -noout -out certs/root-key.pem && chmod 600 certs/root-key.pem\n"
                f"  openssl req -x509 -new -sha384 -key certs/root-key.pem -days {authority.ROOT_DAYS} "
                f"-subj '/O=Istio/CN={self.mesh.name} Root CA' -out certs/root-cert.pem "
                "-config /dev/stdin -extensions root <<'EOF'\n"
                "[req]\ndistinguished_name = name\n[name]\n[root]\nbasicConstraints = critical, CA:true, pathlen:1\n"
                "keyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\nEOF\n"
                "fi",
                "One root for all clusters; keep its key off the machines that run the mesh.",
            )
        ]


class Intermediate(Declared):
    """Secret cacerts of one cluster, signed by the mesh's root."""

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(
            f"{cluster.name}/cacerts", "Intermediate certificate", mesh, cluster,
            needs=("root-ca", f"{cluster.name}/namespace"),
        )  # fmt: skip

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
        files = cacerts_of(world, self.member.name)
        if files is None:
            return Needed((Difference(str(CACERTS), "", None, "to be signed by the mesh's root"),))
        found = facts_of(files, self.member.name, self.mesh.trust_domain)
        if isinstance(found, Conflict):
            return found
        kept = world.roots.load()
        if kept and authority.fingerprint(kept[0]) != found.root and self.mesh.certificates.source == "generate":
            peers = [cacerts_of(world, peer.name) for peer in self.mesh.peers(self.member.name)]
            if any(peer is None for peer in peers):
                return Conflict(
                    f"{self.member.name}: cacerts has another root ({found.root[:16]}) than the one kept in {world.roots.place}",
                    "Keep one of them: move the folder away, or delete the secret before istiod runs.",
                )
        left = (found.expires - datetime.now(UTC)).days
        return Done(f"expires in {left} days")

    def apply(self, world: World, job: Job) -> None:
        kept = world.roots.load()
        if kept is None:
            raise NeedsPerson(
                f"the root key is not in {world.roots.place} any more", "Put root-cert.pem and root-key.pem back."
            )
        files = authority.make_intermediate(authority.Root(*kept), self.member.name, self.mesh.trust_domain)
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        put(world.cluster(self.cluster), {**self.manifests()[0], "data": data}, self.mesh.name)

    def commands(self) -> list[Command]:
        if self.mesh.certificates.source == "existing":
            return []
        name, tool = self.member.name, kubectl(self.member)
        return [
            Command(
                f"mkdir -p certs/{name} && chmod 700 certs/{name}\n"
                f"if [ ! -e certs/{name}/cert-chain.pem ]; then\n"
                f"openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out certs/{name}/ca-key.pem\n"
                f"openssl req -new -key certs/{name}/ca-key.pem -subj '/O=Istio/L={name}/CN=Intermediate CA' "
                f"-out certs/{name}/ca.csr\n"
                f"openssl x509 -req -sha384 -days {authority.INTERMEDIATE_DAYS} -in certs/{name}/ca.csr "
                f"-CA certs/root-cert.pem -CAkey certs/root-key.pem -CAcreateserial -out certs/{name}/ca-cert.pem "
                "-extfile /dev/stdin <<'EOF'\n"
                "basicConstraints = critical, CA:true, pathlen:0\n"
                "keyUsage = critical, keyCertSign, cRLSign\n"
                "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
                f"nameConstraints = critical, permitted;URI:{self.mesh.trust_domain}\nEOF\n"
                f"cat certs/{name}/ca-cert.pem certs/root-cert.pem > certs/{name}/cert-chain.pem\nfi\n"
                f"{tool} create secret generic {CACERTS.name} -n {SYSTEM_NAMESPACE} --dry-run=client -o yaml "
                f"--from-file=certs/{name}/ca-cert.pem --from-file=certs/{name}/ca-key.pem "
                f"--from-file=certs/root-cert.pem --from-file=certs/{name}/cert-chain.pem |\n"
                f"  {tool} apply --server-side -f -",
                "Each cluster its own intermediate, in place before istiod starts.",
            )
        ]


def cacerts_of(world: World, cluster: str) -> dict[str, bytes] | None:
    """The files of a cluster's `cacerts`, None where the secret is absent. Failed where its content is not base64."""
    secret = world.cluster(cluster).get(CACERTS)
    if secret is None:
        return None
    try:
        return {name: base64.b64decode(content) for name, content in (secret.get("data") or {}).items()}
    except ValueError as error:
        raise Failed(f"{cluster}: {CACERTS} cannot be decoded", "Look at it with kubectl.") from error


def facts_of(files: dict[str, bytes], cluster: str, trust_domain: str) -> authority.Facts | Conflict:
    """What a cluster's `cacerts` holds, or the conflict that its content is not usable."""
    remedy = "Put a usable intermediate there, or delete the secret so that one is made (not while istiod runs)."
    try:
        facts = authority.facts(files, trust_domain)
    except (ValueError, TypeError) as error:
        return Conflict(f"{cluster}: {CACERTS} cannot be used: {one_line(error)}", remedy)
    if facts.problems:
        return Conflict(f"{cluster}: {CACERTS} cannot be used: {'; '.join(facts.problems)}", remedy)
    return facts
