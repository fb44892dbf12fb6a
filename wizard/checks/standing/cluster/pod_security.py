"""Does the namespace let Pods in that are injected without Istio's CNI plugin?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.view import Here
from wizard.checks.standing.workloads import Lacking, lacking
from wizard.clusters.kinds import NAMESPACE, POD, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

ENFORCE = "pod-security.kubernetes.io/enforce"
_REFUSING = ("baseline", "restricted")


def find(here: Here) -> Iterable[Fault]:
    refused = [each for each in lacking(here) if "PodSecurity" in each.cause.text]
    for namespace in dict.fromkeys((SYSTEM_NAMESPACE, here.mesh.verify.namespace)):
        ref = Ref(NAMESPACE, namespace)
        level = ((here.get(ref) or {"metadata": {}})["metadata"].get("labels") or {}).get(ENFORCE)
        out = [each for each in refused if each.workload.ref.namespace == namespace]
        if out:
            yield _refused(here, ref, out)
        elif level in _REFUSING and any(_opens(pod) for pod in here.objects(POD, namespace)):
            yield _fault(
                here,
                ref,
                msg(
                    "{cluster}: {object} enforces PodSecurity {level}, and its Pods are injected with istio-init, which needs "
                    "NET_ADMIN: the next Pod there is refused",
                    cluster=here.name,
                    object=str(ref),
                    level=level,
                ),
            )


def _refused(here: Here, ref: Ref, out: list[Lacking]) -> Fault:
    text = msg(
        "{cluster}: {object} refuses the Pods of {workloads}: {problem}",
        cluster=here.name,
        object=str(ref),
        workloads=listing(one_line(each.workload.ref.name) for each in out),
        problem=out[0].cause.text,
    )
    return _fault(here, ref, text, out)


def _fault(here: Here, ref: Ref, text: str, out: Sequence[Lacking] = ()) -> Fault:
    return Fault(
        text,
        str(ref),
        evidence=(msg("the label {label} of {object}, and its Pods", label=ENFORCE, object=str(ref)),),
        remedy=msg("Let them in, or install Istio's CNI plugin, with which Pods need no such right."),
        commands=(f"{here.kubectl} label namespace {quoted(ref.name)} {ENFORCE}=privileged --overwrite",),
        breaks=tuple(dict.fromkeys(pair for each in out for pair in each.breaks)),
        severity="error" if any(not each.workload.ready for each in out) else "warning",
    )


def _opens(pod: Object) -> bool:
    """Whether the Pod changes its own network rules, which only `privileged` allows."""
    init = [each for each in (pod.get("spec") or {}).get("initContainers") or [] if each["name"] == "istio-init"]
    contexts = [each.get("securityContext") or {} for each in init]
    return any("NET_ADMIN" in ((each.get("capabilities") or {}).get("add") or []) for each in contexts)


CHECK = Check(
    "pod-security",
    "cluster",
    "error",
    find,
    short=msg("PodSecurity refuses Pods"),
    title="PodSecurity lets injected Pods in",
    reads="The label `pod-security.kubernetes.io/enforce` of `istio-system` and of the sample's namespace, and the init "
    "containers of the Pods there.",
    means="Without Istio's CNI plugin each injected Pod has a container `istio-init`, which needs NET_ADMIN and NET_RAW. Levels "
    "`baseline` and `restricted` refuse it: Pods that run stay, the next one is refused. Where one is missing for it, it is "
    "an error.",
    arises="Somebody labelled the namespace, or a platform labels all namespaces, after the Pods were made.",
    mend="Label the namespace `privileged`, or install Istio's CNI plugin.",
)
