"""Whose an object is that has the name of what an install is going to make.

An install takes over whatever it finds under its names and marks it with our IstioOperator's; an uninstall goes by that mark. So
all that is rendered is looked up before, and what stands there without the mark is one of two:

- Shared: accounts, roles and their bindings (`SHARED`). They say who may read what, every Istio in a cluster wants the same
  ones, and what an install changes of them can be given back. They go into the install's record as they are, with the
  definitions of kinds and the reader's token; an uninstall leaves all of that, and gives back what the install changed.
- Somebody's: all the rest. A webhook, a Deployment, a Service, a ConfigMap works for one install, and two that write the same one
  fight for it; so do two that bind a role to different accounts. That is a conflict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CRD,
    KINDS,
    MUTATING_WEBHOOK,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
    ref_of,
)
from wizard.clusters.port import Cluster, Outdated
from wizard.clusters.typed import Place, file_option, kubectl
from wizard.engine.step import Conflict, Difference
from wizard.errors import Failed
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import counted, msg
from wizard.objects.managers import ISTIOCTL, others
from wizard.objects.ownership import ISTIO_OWNER, MESH, annotation, label, owned_by
from wizard.text import listing, one_line, quoted

SHARED = (SERVICE_ACCOUNT, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING)
_RECORDED = {kind.kind: kind for kind in (*SHARED, CRD, SECRET)}
_HELM, _HELM_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NO_CONTENT = ("apiVersion", "kind", "metadata", "status")
_TIMES = 3  # that a change is tried where others change the same object


@dataclass(frozen=True)
class Wanted:
    """What an install will make at this address. `grants`: of a binding, the role and whom it is given to."""

    ref: Ref
    grants: Any = None


def addresses(manifests: Iterable[Object]) -> list[Wanted]:
    """The addresses of what istioctl renders, as far as the kinds are known. Namespaces are none of it: they have their step."""
    known = {(kind.group, kind.kind) for kind in KINDS if kind != NAMESPACE}
    return [
        Wanted(ref_of(each), _grants(each))
        for each in manifests
        if (str(each.get("apiVersion")).rpartition("/")[0], each.get("kind")) in known
    ]


@dataclass(frozen=True)
class Entry:
    """One object that stood before. Parts that are None are left alone: all of a Secret, and what a definition defines."""

    ref: Ref
    uid: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    content: Object | None = None  # what it has beside its metadata

    def text(self) -> str:
        told = {
            "kind": self.ref.kind.kind, "namespace": self.ref.namespace, "name": self.ref.name, "uid": self.uid,
            "labels": self.labels, "annotations": self.annotations, "content": self.content,
        }  # fmt: skip
        return json.dumps({key: value for key, value in told.items() if value is not None})

    def is_of(self, live: Object) -> bool:
        """Whether this very object was recorded, not one that was made under its name since."""
        return bool(self.uid == live["metadata"].get("uid"))

    def give_back(self, cluster: Cluster) -> None:
        """Have the object as it was, where it still stands, as far as it was istioctl that changed it."""
        for tried in range(_TIMES):
            live = cluster.get(self.ref)
            restored = _restored(self, live) if live is not None and self.is_of(live) else live
            if restored is None or restored == live:
                return
            try:
                cluster.replace(restored)
                return
            except Outdated:
                if tried == _TIMES - 1:
                    raise


@dataclass(frozen=True)
class Before:
    """What stood before an install of ours, by address."""

    entries: dict[Ref, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Iterable[Object]) -> Before:
        """These objects as they are now."""
        return cls({entry.ref: entry for entry in map(_entry, objects)})

    @classmethod
    def read(cls, data: dict[str, str], where: str) -> Before:
        """As the data of an install's record tell. Failed where they cannot be read; `where` names them."""
        try:
            entries = [_read(json.loads(line)) for line in data.get("before", "").splitlines()]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Failed(
                msg("{where}: `before`, which says what stood before the install, cannot be read", where=where),
                msg("Whoever changed it can mend it; without it an uninstall could take what is others'."),
            ) from error
        return cls({entry.ref: entry for entry in entries})

    def text(self) -> str:
        """As `read` takes it: a line for each object."""
        return "\n".join(entry.text() for _, entry in sorted(self.entries.items(), key=lambda each: str(each[0])))

    def holds(self, live: Object) -> bool:
        """Whether this very object stood before."""
        entry = self.entries.get(_place(live))
        return entry is not None and entry.is_of(live)

    def with_(self, other: Before) -> Before:
        """Both; the other's where both have an object."""
        return Before({**self.entries, **other.entries})


@dataclass(frozen=True)
class Found:
    """What stands at the addresses of an install's objects and is not ours."""

    shared: tuple[Object, ...] = ()
    somebodys: tuple[Object, ...] = ()

    def told(self) -> list[Difference]:
        """What a plan says of what is shared."""
        kept = msg("used as well, and given back by an uninstall")
        return [
            Difference(str(ref_of(live)), "", msg("there already, of {owner}", owner=owner(live)), kept)
            for live in self.shared
        ]

    def conflict(self, name: str, at: Place, *, revised: bool) -> Conflict | None:
        """Where something is somebody's. `name`: of the cluster; `revised`: whether this mesh's Istio has a revision."""
        if not self.somebodys:
            return None
        first = self.somebodys[0]
        what = _installed(name, first)
        if len(self.somebodys) > 1:
            more = [str(ref_of(live)) for live in self.somebodys[1:]]
            what = msg("{conflict}; so are {others}", conflict=what, others=_some(more))
        # A gateway's names stay the same.
        apart = not revised and not any(GATEWAY_NAME in str(ref_of(live)) for live in self.somebodys)
        command = _removal(first, at)
        if not apart:
            return Conflict(
                what,
                msg(
                    "Remove it first, if nobody needs it ({command}), or leave this cluster out: meshwizard does not overwrite "
                    "what it did not make.",
                    command=command,
                ),
            )
        return Conflict(
            what,
            msg(
                "Remove it first, if nobody needs it ({command}), or leave this cluster out, or give this mesh names of its own "
                "by a revision (istio.revision): meshwizard does not overwrite what it did not make.",
                command=command,
            ),
        )


def look_up(cluster: Cluster, refs: Sequence[Wanted], *, mesh: str, made: Sequence[str], before: Before) -> Found:
    """What stands at these addresses that is not ours. `made`: what earlier installs of this mesh made, as `str(Ref)` names it;
    `before`: what is known to be shared.
    """
    shared: list[Object] = []
    somebodys: list[Object] = []
    for each, live in _standing(cluster, refs):
        # What others had there once and made anew since is theirs again.
        known = str(each.ref) in made and _place(live) not in before.entries
        ours = label(live, ISTIO_OWNER) == OPERATOR_NAME or annotation(live, MESH) == mesh
        if ours or known or before.holds(live):
            continue
        can_share = _place(live).kind in SHARED and (each.grants is None or each.grants == _grants(live))
        (shared if can_share else somebodys).append(live)
    return Found(tuple(shared), tuple(somebodys))


def touched_by_others(live: Object) -> bool:
    """Whether somebody beside istioctl and machinery wrote something of an object that can be shared."""
    return _place(live).kind in SHARED and bool(others(live))


def owner(live: Object) -> str:
    """Whose an object is, as far as it tells: for a sentence."""
    operator = label(live, ISTIO_OWNER)
    if operator and operator != "unknown":
        return f"IstioOperator {one_line(operator)}"
    release = annotation(live, _HELM)
    if release:
        namespace = one_line(annotation(live, _HELM_NAMESPACE) or "default")
        return msg("Helm release {release} in {namespace}", release=one_line(release), namespace=namespace)
    mesh = annotation(live, MESH)
    if mesh:
        return msg("mesh {mesh}", mesh=one_line(mesh))
    for each in live["metadata"].get("ownerReferences") or []:
        return f"{one_line(each.get('kind'))} {one_line(each.get('name'))}"
    wrote = [one_line(each, 60) for each in others(live) if each]
    return msg("somebody else ({managers})", managers=listing(wrote[:3])) if wrote else msg("somebody else")


def _standing(cluster: Cluster, refs: Sequence[Wanted]) -> Iterator[tuple[Wanted, Object]]:
    """What stands at these addresses: those of a namespace are listed, since there are many, the others asked for."""
    listed: dict[tuple[str, str], dict[str, Object]] = {}
    for each in refs:
        ref = each.ref
        if ref.kind.namespaced:
            place = (ref.kind.resource, ref.namespace)
            if place not in listed:
                items = cluster.objects(ref.kind, ref.namespace)
                listed[place] = {str(item["metadata"]["name"]): item for item in items}
            live = listed[place].get(ref.name)
        else:
            live = cluster.get(ref)
        if live is not None:
            yield each, live


def _place(live: Object) -> Ref:
    """The address in the version of the table, whatever version it was read in."""
    ref = ref_of(live)
    return Ref(_RECORDED.get(ref.kind.kind, ref.kind), ref.name, ref.namespace)


def _entry(live: Object) -> Entry:
    ref, uid = _place(live), str(live["metadata"].get("uid", ""))
    if ref.kind == SECRET:
        return Entry(ref, uid)
    labels, annotations = (dict(live["metadata"].get(part) or {}) for part in ("labels", "annotations"))
    if ref.kind == CRD:
        annotations.pop(_LAST_APPLIED, None)  # the whole definition once more
        return Entry(ref, uid, labels, annotations)
    return Entry(ref, uid, labels, annotations, {key: live[key] for key in live if key not in _NO_CONTENT})


def _read(told: Object) -> Entry:
    kind = _RECORDED[told["kind"]]
    parts = [told.get(key) for key in ("labels", "annotations", "content")]
    if not all(part is None or isinstance(part, dict) for part in parts):
        raise TypeError("no mapping")
    ref = Ref(kind, str(told["name"]), str(told.get("namespace", "")))
    return Entry(ref, str(told["uid"]), *parts)


def _restored(entry: Entry, live: Object) -> Object:
    """The live object with what istioctl wrote as it was before. What others wrote since is theirs, and stays."""
    result = {**live, "metadata": dict(live["metadata"])}
    for part, was in (("labels", entry.labels), ("annotations", entry.annotations)):
        if was is None:
            continue
        now = dict(live["metadata"].get(part) or {})
        for key in [key for key in now if owned_by(live, ("metadata", part, key), ISTIOCTL)]:
            _put_back(now, was, key)
        _put_back(result["metadata"], {part: now} if now else {}, part)
    if entry.content is not None:
        for key in live.keys() | entry.content.keys():
            if key not in _NO_CONTENT and owned_by(live, (key,), ISTIOCTL):
                _put_back(result, entry.content, key)
    return result


def _put_back(now: Object, was: Object, key: str) -> None:
    if key in was:
        now[key] = was[key]
    else:
        now.pop(key, None)


def _grants(item: Object) -> Any:
    """What a binding gives to whom; None of anything else."""
    if not isinstance(item.get("roleRef"), dict):
        return None
    namespace = item["metadata"].get("namespace", "")
    role = tuple(str(item["roleRef"].get(key, "")) for key in ("kind", "name"))
    subjects = item.get("subjects") or []
    return role, {
        (str(each.get("kind")), str(each.get("name")), each.get("namespace") or namespace) for each in subjects
    }


def _installed(name: str, live: Object) -> str:
    """That this stands in the cluster of that name, and whose it is."""
    told = {"cluster": name, "object": str(ref_of(live)), "owner": owner(live)}
    leads = _leading(live)
    if not leads:
        return msg("{cluster}: {object} is there already, installed by {owner}", **told)
    return msg(
        "{cluster}: {object} is there already, installed by {owner}, and leads to {service}", **told, service=leads
    )


def _some(names: Sequence[str]) -> str:
    shown, more = listing(names[:3]), len(names) - 3
    return counted("{names} and {count} more", "{names} and {count} more", more, names=shown) if more > 0 else shown


def _leading(live: Object) -> str:
    """The Service that a webhook leads to, if that is not in our namespace; else empty."""
    if live["kind"] not in (MUTATING_WEBHOOK.kind, VALIDATING_WEBHOOK.kind):
        return ""
    services = [(hook.get("clientConfig") or {}).get("service") or {} for hook in live.get("webhooks") or []]
    for each in services:
        if each.get("namespace") not in (None, SYSTEM_NAMESPACE):
            return msg(
                "Service {name} in {namespace}", name=one_line(each.get("name")), namespace=one_line(each["namespace"])
            )
    return ""


def _removal(live: Object, at: Place) -> str:
    """The command that removes it, with all that was made with it where that has a name."""
    release = annotation(live, _HELM)
    if release:
        place = f"{file_option(at.kubeconfig)}--kube-context={quoted(at.context)}"
        return f"helm uninstall {place} -n {quoted(annotation(live, _HELM_NAMESPACE) or 'default')} {quoted(release)}"
    ref = ref_of(live)
    namespace = f"-n {quoted(ref.namespace)} " if ref.namespace else ""
    return f"{kubectl(at)} {namespace}delete {ref.kind.resource} {quoted(ref.name)}"
