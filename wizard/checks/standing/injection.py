"""The webhooks that inject the Pods of a mesh, as they stand in a cluster, and what is wrong with how they are called."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256

from wizard.certificates import pem
from wizard.checks.standing.istiods import istiod_of, runs_istiod
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import CONFIG_MAP, MUTATING_WEBHOOK, NAMESPACE, SERVICE, Object, Ref
from wizard.clusters.selectors import selects
from wizard.istio import names
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line

OF_INJECTION = "sidecar-injector.istio.io"  # the end of the names of such webhooks
ROOT = Ref(CONFIG_MAP, "istio-ca-root-cert", SYSTEM_NAMESPACE)
_INJECTION, _REVISION, _TAG = "istio-injection", "istio.io/rev", "istio.io/tag"
_POD_LABELS = {"app": "helloworld"}
# `/inject/cluster/NAME/net/NETWORK`, or `/inject:ENV:cluster=NAME:ENV:net=NETWORK`
_IN_PATH = re.compile(r"cluster[/=](?P<name>[^/:]+)")


@dataclass(frozen=True)
class Hook:
    """A webhook that injects Pods of the mesh. `client`: how it is called."""

    configuration: Ref
    client: Object


def injectors(here: Here) -> list[Object]:
    """The configurations of all Istios here."""
    own = names.injector_name(here.mesh, here.member)
    return [
        each
        for each in here.objects(MUTATING_WEBHOOK)
        # As every Istio labels them.
        if _labels(each).get("app") == "sidecar-injector" or each["metadata"]["name"] == own
    ]


def at_work(here: Here) -> list[Hook]:
    """The webhooks that are asked about Pods of a namespace that asks for sidecars, as those of this mesh do."""
    standing = injectors(here)
    place = _asking(here, standing)
    return [
        Hook(Ref(MUTATING_WEBHOOK, one_line(each["metadata"]["name"])), hook.get("clientConfig") or {})
        for each in standing
        if _name_of(_labels(each)) == _asked(place)
        for hook in each.get("webhooks") or []
        if selects(hook.get("namespaceSelector"), place) and selects(hook.get("objectSelector"), _POD_LABELS)
    ]


def _asking(here: Here, standing: Sequence[Object]) -> Mapping[str, str]:
    """The labels of the sample's namespace, as they are where it asks for one of these injectors, else as they should be."""
    live = here.get(Ref(NAMESPACE, here.mesh.verify.namespace))
    labels = _labels(live) if live else {}
    if _asked(labels) in {_name_of(_labels(each)) for each in standing}:
        return labels
    rest = {key: value for key, value in labels.items() if key not in (_INJECTION, _REVISION)}
    return {**rest, **names.injection_labels(here.mesh)}


def _asked(place: Mapping[str, str]) -> str | None:
    """The revision or tag that a namespace asks for, None where it asks for none."""
    if _INJECTION in place:
        return "default" if place[_INJECTION] == "enabled" else None
    return place.get(_REVISION)


def _name_of(injector: Mapping[str, str]) -> str:
    """The revision or tag that these labels of an injector are for."""
    return injector.get(_TAG, injector.get(_REVISION, "default"))


def _labels(live: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = live["metadata"].get("labels") or {}
    return labels


# -- what is wrong with one


def wrong(here: Here, hook: Hook) -> Iterator[str]:
    """What is wrong with how it is called."""
    service = hook.client.get("service")
    if service:
        place = Ref(SERVICE, str(service.get("name")), str(service.get("namespace")))
        # Of istiod's own Service another check tells.
        ours = place.namespace == SYSTEM_NAMESPACE and place.name in ("istiod", istiod_of(here)[0].name)
        if not ours and here.get(place) is None:
            yield msg(
                "{cluster}: {object} calls {service}, which is not there: the next Pod there is refused",
                cluster=here.name,
                object=str(hook.configuration),
                service=one_line(place),
            )
        yield from _distrusted(here, hook)
    if here.member.role == "remote" and not runs_istiod(here):
        yield from _misnamed(here, hook)


def _misnamed(here: Here, hook: Hook) -> Iterator[str]:
    """That it asks a primary's istiod for sidecars of another cluster."""
    path = str((hook.client.get("service") or {}).get("path") or hook.client.get("url") or "")
    found = _IN_PATH.search(path)
    if found and (found["name"] == here.name or here.view.inferred):
        return
    yield msg(
        "{cluster}: {object} asks for sidecars of {found}, not of {cluster}: the next proxy there claims to be of another "
        "cluster, and istiod refuses it",
        cluster=here.name,
        object=str(hook.configuration),
        found=one_line(found["name"]) if found else msg("no cluster"),
    )


def _distrusted(here: Here, hook: Hook) -> Iterator[str]:
    """That the API server does not trust the istiod that is called."""
    told = {"cluster": here.name, "object": str(hook.configuration)}
    bundle = str(hook.client.get("caBundle") or "")
    if not bundle:
        yield msg(
            "{cluster}: {object} has no caBundle: the API server trusts no istiod, and the next Pod there is refused",
            **told,
        )
        return
    signer = here if runs_istiod(here) else here.control
    root = _fingerprints(((signer.get(ROOT) or {}).get("data") or {}).get("root-cert.pem", ""))
    trusted = _fingerprints(_decoded(bundle))
    if root and trusted is not None and not root & trusted:
        yield msg(
            "{cluster}: the caBundle of {object} ({found}) is not the root of istiod in {primary} ({root}): the next Pod there "
            "is refused",
            found=min(trusted, default=msg("no certificate")),
            primary=signer.name,
            root=min(root),
            **told,
        )


def _decoded(bundle: str) -> str:
    try:
        return base64.b64decode(bundle).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _fingerprints(text: str) -> set[str] | None:
    """The first 16 digits of each certificate's SHA-256; None where there are some that cannot be read."""
    content = text.encode(errors="replace")
    if b"CERTIFICATE" not in pem.labels(content):
        return set()
    try:
        return {each.fingerprint(SHA256()).hex()[:16] for each in pem.certificates(content)}
    except ValueError:
        return None
