"""Secret `cacerts`, in which istiod finds its intermediate certificate: what a cluster holds there, and what forbids one."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from wizard.certificates import authority
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT, Inspection, inspect
from wizard.certificates.folder import FIELD, folder_mistakes
from wizard.certificates.source import source_of, unfit_root, unsafe_folders
from wizard.clusters.kinds import DEPLOYMENT, SECRET, Object, Ref
from wizard.engine.step import Conflict
from wizard.errors import Failed, Mistake
from wizard.fanout import of_each
from wizard.istio.versions import minor_of
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import joined, msg
from wizard.text import printable
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
    source = source_of(mesh, world)
    wrong = unfit_root(mesh, world, making=True) if source == "generate" else None
    if not wrong and source not in ("directory", "offline"):
        return ()
    there = of_each(clusters, lambda cluster: world.cluster(cluster.name).get(CACERTS))
    lacking = [cluster for cluster, secret in zip(clusters, there, strict=True) if secret is None]
    if wrong and any(there):  # then none is made
        wrong = unfit_root(mesh, world, making=False) if lacking else None
    if source == "generate":
        return (Mistake(FIELD, printable(_mistaken(wrong), 2000)),) if wrong else ()
    guarded = unsafe_folders(mesh, lacking) if source == "offline" else ()
    return (*guarded, *folder_mistakes(mesh, lacking))


def _mistaken(wrong: Conflict) -> str:
    what = wrong.what.removesuffix(".") if wrong.what.endswith(".") else wrong.what
    return msg("{problem}; {remedy}", problem=what, remedy=wrong.remedy)


def root_in(world: World, cluster: str) -> str:
    """The fingerprint of the root in a cluster's `cacerts`; empty where there is none that can be read."""
    data = (world.cluster(cluster).get(CACERTS) or {}).get("data") or {}
    try:
        name = _TLS_FORM[ROOT] if _TLS_FORM[CERT] in data else ROOT
        return authority.fingerprint(base64.b64decode(data.get(name) or ""))
    except ValueError:
        return ""


def files_in(secret: Object) -> dict[str, bytes]:
    """The files of this Secret, as istiod reads them: of one of the form kubernetes.io/tls, what they stand for. ValueError where
    one cannot be decoded.
    """
    data = {name: base64.b64decode(content or "") for name, content in (secret.get("data") or {}).items()}
    if _TLS_FORM[CERT] not in data:
        return data
    files = {ours: data[name] for ours, name in _TLS_FORM.items() if name in data}
    return {**files, CHAIN: files.get(CERT, b"") + b"\n" + files.get(ROOT, b"")}


def held(world: World, mesh: Mesh, cluster: str) -> Inspection | Conflict | None:
    """What a cluster's `cacerts` holds, or the conflict that it is not usable; None where there is none."""
    secret = world.cluster(cluster).get(CACERTS)
    if secret is None:
        return None
    told = {"cluster": cluster, "secret": str(CACERTS)}
    remedy = msg("Put a usable intermediate there, or delete the secret so that one is made (not while istiod runs).")
    try:
        data = files_in(secret)
    except ValueError as error:
        raise Failed(msg("{cluster}: {secret} cannot be decoded", **told), msg("Look at it with kubectl.")) from error
    form = ""
    if _TLS_FORM[CERT] in (secret.get("data") or {}):
        form = joined((msg("{name} stands for {ours}", name=name, ours=ours) for ours, name in _TLS_FORM.items()), ", ")
        if (minor_of(str(mesh.istio.version)) or _TLS_SINCE) < _TLS_SINCE:
            what = msg(
                "{cluster}: {secret} has the form kubernetes.io/tls, which istiod {version} does not read",
                **told,
                version=str(mesh.istio.version),
            )
            return Conflict(what, remedy)
    found = inspect(data, mesh.trust_domain, strict=False)
    broken = found.of("broken")
    if broken:
        flaws = joined((each.told for each in broken), "; ")
        if form:
            flaws = msg("{flaws} ({names})", flaws=flaws, names=form)
        return Conflict(msg("{cluster}: {secret} cannot be used: {flaws}", **told, flaws=flaws), remedy)
    return found


def signs_itself(world: World, member: Cluster) -> Conflict | None:
    """An istiod that runs on a root of its own would change it at its next start, and cut off every workload it has."""
    cluster = world.cluster(member.name)
    if cluster.get(SELF_SIGNED) is None or not cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod"):
        return None
    return Conflict(
        msg(
            "{cluster}: istiod runs already and signs with a root of its own ({own}); with {secret} its workloads would lose "
            "each other until all are restarted",
            cluster=member.name,
            own=str(SELF_SIGNED),
            secret=str(CACERTS),
        ),
        msg(
            "Uninstall that Istio; or, in a quiet hour, make secret {name} yourself and restart istiod, the gateways and all "
            "workloads.",
            name=CACERTS.name,
        ),
    )
