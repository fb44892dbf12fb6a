"""Have the sample's Pods the sidecar without which no traffic of the mesh reaches or leaves them?"""

from __future__ import annotations

import json
from collections.abc import Iterable

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.samples import client_of, in_namespace, is_ambient, mending_step, pods_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import MUTATING_WEBHOOK, NAMESPACE, POD, Object, Ref
from wizard.istio import names
from wizard.istio.proxies import has_sidecar
from wizard.mesh.sample import CLIENT, SERVICE
from wizard.messages import counted, msg
from wizard.text import one_line, quoted

_INJECT = "sidecar.istio.io/inject"
_INJECTION, _REVISION = "istio-injection", "istio.io/rev"


def find(here: Here) -> Iterable[Fault]:
    view = here.view
    yield from _of(
        here, SERVICE, view.beyond_into(here.name),
        msg("istiod gives Pods without one to no other network: they take no mutual TLS"),
    )  # fmt: skip
    yield from _of(here, CLIENT, view.out_of(here.name), msg("what it asks does not go through the mesh"))


def _of(here: Here, app: str, breaks: tuple[Pair, ...], follows: str) -> Iterable[Fault]:
    pods = [pod for pod in pods_of(here, app) if not is_ambient(pod)]
    bare = [pod for pod in pods if not has_sidecar(pod)]
    if not bare:
        return
    broken = breaks if len(bare) == len(pods) else ()
    first = Ref(POD, str(bare[0]["metadata"]["name"]), here.mesh.verify.namespace)
    labels = _labels_of_namespace(here)
    why = _why(here, bare[0], labels)
    more = len(bare) - 1
    named = one_line(str(first))
    if more:
        named = counted("{pod} and {count} more", "{pod} and {count} more", more, pod=named)
    told = _told({key: labels[key] for key in (_INJECTION, _REVISION) if key in labels})
    yield Fault(
        msg("{cluster}: {pods} without a sidecar: {why}; {follows}", cluster=here.name, pods=named, why=why, follows=follows),
        str(first),
        evidence=(
            msg("{cluster}: namespace {namespace} is labelled {labels}", cluster=here.name,
                namespace=here.mesh.verify.namespace, labels=told or msg("for no injection")),
            msg("{pod} was made at {time}", pod=one_line(str(first)),
                time=one_line(bare[0]["metadata"].get("creationTimestamp", "?"))),
        ),
        remedy=msg("Have the namespace ask for sidecars, and its Pods made anew: they get one only when they are made."),
        commands=_commands(here, bare[0], app, labels),
        step=mending_step(here),
        breaks=broken,
        # While others of them have one, or on one network, traffic passes.
        severity=None if broken else "warning",
    )  # fmt: skip


def _why(here: Here, pod: Object, labels: dict[str, str]) -> str:
    if (pod.get("spec") or {}).get("hostNetwork"):
        return msg("it is in the network of its node, where none is injected")
    if _refuses(pod):
        return msg('it says {label}: "false"', label=_INJECT)
    if labels.get(_INJECTION) == "disabled":
        return msg("the namespace is labelled {label}", label=f"{_INJECTION}=disabled")
    wanted = _told(names.injection_labels(here.mesh))
    if not labels.get(_INJECTION) and not labels.get(_REVISION):
        return msg("the namespace lacks label {label}", label=wanted)
    if not _asks(here, labels):
        told = _told({key: labels[key] for key in (_INJECTION, _REVISION) if key in labels})
        return msg(
            "the namespace asks another istiod for sidecars: it is labelled {labels}, not {wanted}",
            labels=told, wanted=wanted,
        )  # fmt: skip
    return msg("the namespace asks for one, so it was made before that, or while nothing injected")


def _refuses(pod: Object) -> bool:
    """Whether it says itself that it wants none."""
    metadata = pod["metadata"]
    return any((metadata.get(field) or {}).get(_INJECT) == "false" for field in ("labels", "annotations"))


def _asks(here: Here, labels: dict[str, str]) -> bool:
    """Whether the namespace asks an istiod for sidecars; of a mesh that was recorded, this mesh's: by revision or tag."""
    revision = here.mesh.istio.revision or "default"
    # `istio-injection` wins, and stands for the default revision.
    wanted = "default" if labels.get(_INJECTION) == "enabled" else labels.get(_REVISION)
    if labels.get(_INJECTION) == "disabled" or not wanted:
        return False
    return here.view.inferred or wanted == revision or wanted in _tags(here, revision)


def _tags(here: Here, revision: str) -> set[str]:
    """The other names of the revision."""
    hooks = [
        each["metadata"].get("labels") or {} for each in here.objects(MUTATING_WEBHOOK, labels="app=sidecar-injector")
    ]
    return {
        labels["istio.io/tag"] for labels in hooks if labels.get(_REVISION) == revision and "istio.io/tag" in labels
    }


def _commands(here: Here, pod: Object, app: str, labels: dict[str, str]) -> tuple[str, ...]:
    deployment = quoted(f"deployment/{_deployment(here, pod, app)}")
    if _refuses(pod):
        gone = {"labels": {_INJECT: None}, "annotations": {_INJECT: None}}
        patch = json.dumps({"spec": {"template": {"metadata": gone}}})
        return (f"{in_namespace(here)} patch {deployment} --type=merge -p {quoted(patch)}",)
    restart = f"{in_namespace(here)} rollout restart {deployment}"
    if (
        labels.get(_INJECTION) != "disabled"
        and _asks(here, labels)
        and (labels.get(_INJECTION) or labels.get(_REVISION))
    ):
        return (restart,)
    wanted = names.injection_labels(here.mesh)
    changes = [f"{key}={value}" for key, value in wanted.items()]
    changes += [f"{key}-" for key in (_INJECTION, _REVISION) if key in labels and key not in wanted]
    words = " ".join(map(quoted, changes))
    return (f"{here.kubectl} label namespace {quoted(here.mesh.verify.namespace)} --overwrite {words}", restart)


def _deployment(here: Here, pod: Object, app: str) -> str:
    """The Deployment of the Pod, as its ReplicaSet is called without the hash."""
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("kind") == "ReplicaSet":
            return str(owner.get("name", "")).rpartition("-")[0]
    return client_of(here) if app == CLIENT else f"{SERVICE}-{here.mesh.sample_version(here.name)}"


def _labels_of_namespace(here: Here) -> dict[str, str]:
    live = here.get(Ref(NAMESPACE, here.mesh.verify.namespace))
    return dict(((live or {}).get("metadata") or {}).get("labels") or {})


def _told(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={one_line(value)}" for key, value in labels.items())


CHECK = Check(
    "sidecars",
    "workload",
    "error",
    find,
    short=msg("no sidecar"),
    title="The sample's Pods have a sidecar",
    reads="The containers of the sample's Pods, their labels, and the labels `istio-injection` and `istio.io/rev` of "
    "their namespace.",
    means="A Pod without a sidecar speaks no mutual TLS. istiod gives its address to no other network, since a "
    "gateway passes on only mutual TLS; and a client without one asks past the mesh, so only its own cluster "
    "answers.",
    arises="The namespace has no label, or one for another revision; it was labelled after the Pods were made; the "
    'Pods say `sidecar.istio.io/inject: "false"`; or istiod did not answer while they were made.',
    mend="Label the namespace for the revision that is installed, and have the Pods made anew.",
)
