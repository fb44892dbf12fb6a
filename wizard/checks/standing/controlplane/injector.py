"""Would the next Pod get its sidecar?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.checks.finding import Pair
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.controlplane import istiod_service
from wizard.checks.standing.injection import OF_INJECTION, ROOT, at_work, injectors, wrong
from wizard.checks.standing.istiods import istiod_of, runs_istiod
from wizard.checks.standing.view import Here
from wizard.checks.standing.workloads import Lacking, lacking, workloads
from wizard.clusters.kinds import MUTATING_WEBHOOK, POD, Object, Ref
from wizard.istio import names
from wizard.istio.proxies import has_sidecar
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.pods import is_going, is_pod_of
from wizard.text import quoted

DEFAULT_TAG = Ref(MUTATING_WEBHOOK, "istio-revision-tag-default")
DEACTIVATED = "istio.io/deactivated"  # the label by which istioctl has a webhook select nothing


def find(here: Here) -> Iterable[Fault]:
    if not runs_istiod(here) and not answering((here.control,)):
        return  # whose root its webhooks should trust
    faults = [*_missing(here), *_wrong(here)]
    yield from faults or _unanswered(here)


def _missing(here: Here) -> Iterator[Fault]:
    own = Ref(MUTATING_WEBHOOK, names.injector_name(here.mesh, here.member))
    standing = {each["metadata"]["name"]: each for each in injectors(here)}
    works = bool(at_work(here))
    told = {"cluster": here.name}
    if own.name not in standing:
        if not works:
            text = msg("{cluster}: {object} is gone: the next Pod there gets no sidecar", object=str(own), **told)
            yield _fault(here, own, text, gone=True, breaks=_bare(here))
        elif not here.view.inferred:
            text = msg("{cluster}: {object} is gone; only that of its tag injects still", object=str(own), **told)
            yield _fault(here, own, text, gone=True)
    elif not works and not here.mesh.istio.revision and DEFAULT_TAG.name in standing:
        yield _off(here, DEFAULT_TAG)
    elif not works and _is_deactivated(standing[own.name]):
        text = msg(
            "{cluster}: {object} is gone, and {other} is switched off in its favour: the next Pod there gets no sidecar",
            object=str(DEFAULT_TAG),
            other=str(own),
            **told,
        )
        yield _fault(here, DEFAULT_TAG, text, gone=True, breaks=_bare(here))
    elif not works:
        yield _off(here, own)


def _off(here: Here, ref: Ref) -> Fault:
    text = msg(
        "{cluster}: {object} selects no Pod of a namespace that asks for sidecars: the next one there gets none",
        cluster=here.name,
        object=str(ref),
    )
    return _fault(here, ref, text, breaks=_bare(here))


def _is_deactivated(injector: Object) -> bool:
    selectors = [hook.get("namespaceSelector") or {} for hook in injector.get("webhooks") or []]
    return any(DEACTIVATED in (each.get("matchLabels") or {}) for each in selectors)


def _wrong(here: Here) -> Iterator[Fault]:
    """What is wrong with each configuration that is at work, once: its webhooks are called alike."""
    told: dict[Ref, str] = {}
    for hook in at_work(here):
        for text in wrong(here, hook):
            told.setdefault(hook.configuration, text)
    for ref, text in told.items():
        yield _fault(here, ref, text, breaks=_pairs(_refused(here)))


def _unanswered(here: Here) -> Iterator[Fault]:
    """istiod runs and is found, its webhook is right, and all the same the API server gets no answer of it."""
    out = _refused(here)
    if not out or not here.istiods() or any(istiod_service.find(here)):
        return
    text = msg(
        "{cluster}: the API server gets no answer of istiod, so that Pods of {object} are refused: {problem}",
        cluster=here.name,
        object=str(out[0].workload.ref),
        problem=out[0].cause.text,
    )
    remedy = msg(
        "Let the API server reach port 15017 of istiod's Pods: a firewall, a security group, a network policy."
    )
    ref = Ref(MUTATING_WEBHOOK, names.injector_name(here.mesh, here.member))
    yield _fault(here, ref, text, breaks=_pairs(out), remedy=remedy)


def _refused(here: Here) -> list[Lacking]:
    """The workloads that lack Pods because no injector answered."""
    return [each for each in lacking(here) if each.webhook.endswith(OF_INJECTION)]


def _pairs(out: Iterable[Lacking]) -> tuple[Pair, ...]:
    return tuple(dict.fromkeys(pair for each in out for pair in each.breaks))


def _bare(here: Here) -> tuple[Pair, ...]:
    """The traffic of the sample's workloads that have a Pod without a sidecar by now."""
    namespace = here.mesh.verify.namespace
    bare = [pod for pod in here.objects(POD, namespace) if not has_sidecar(pod) and not is_going(pod)]
    out = [
        each
        for each in workloads(here)
        if each.ref.namespace == namespace and any(is_pod_of(pod, each.ref.name) for pod in bare)
    ]
    return tuple(dict.fromkeys(pair for each in out for pair in each.breaks))


def _fault(
    here: Here, ref: Ref, text: str, *, gone: bool = False, breaks: tuple[Pair, ...] = (), remedy: str = ""
) -> Fault:
    control = here if runs_istiod(here) else here.control
    seen = msg(
        "the injection webhooks of {cluster}, and {root} of {primary}",
        cluster=here.name,
        root=str(ROOT),
        primary=control.name,
    )
    return Fault(
        text,
        str(ref),
        evidence=(seen,),
        remedy=remedy or msg("Install Istio there again with the same values; istiod signs its webhooks by itself."),
        commands=(
            f"{here.kubectl} get mutatingwebhookconfigurations -l app=sidecar-injector",
            *(() if gone else (f"{here.kubectl} get mutatingwebhookconfiguration {quoted(ref.name)} -o yaml",)),
            f"{control.kubectl} -n {SYSTEM_NAMESPACE} logs {quoted(f'deployment/{istiod_of(control)[0].name}')} --tail=50",
        ),
        step=kinds.INSTALL.id(here.name) if gone and not here.view.inferred else None,
        breaks=breaks,
        severity="error" if breaks else "warning",
    )


CHECK = Check(
    "injector",
    "control-plane",
    "error",
    find,
    short=msg("no injection"),
    title="The next Pod gets its sidecar",
    reads="The MutatingWebhookConfigurations of Istio, the labels of the sample's namespace, the Services that they call, and "
    "ConfigMap `istio-ca-root-cert` where istiod runs; and where Pods are missing, the events that tell why.",
    means="Pods that run keep their proxies. The next one gets none where no webhook asks for it, and is refused where the "
    "webhook is not answered or not trusted. That is a warning, and an error where such Pods stand or are missing by now.",
    arises="The webhook configuration was deleted or edited; an install was killed at its end, when istioctl exchanges webhooks; "
    "its `caBundle` is of an earlier root; a remote was installed without its injection path; the API server does not reach port "
    "15017.",
    mend="Install Istio again with the same values. istiod writes `caBundle` by itself: where it does not, see its log and the "
    "check `external-istiod`.",
)
