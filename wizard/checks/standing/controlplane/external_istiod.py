"""Does the istiod of a primary look after its remotes?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard import kinds
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import CONTAINER, cut_off, environment, istiod_of, runs_istiod
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import CONFIG_MAP, MUTATING_WEBHOOK, NAMESPACE, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

ANNOTATION = "topology.istio.io/controlPlaneClusters"
VARIABLE = "EXTERNAL_ISTIOD"
_TRUE = ("1", "t", "true")


def find(here: Here) -> Iterable[Fault]:
    if here.member.role == "remote":
        if not runs_istiod(here) and answering((here.control,)):
            yield from _annotation(here)
        return
    yield from _variable(here)


def _annotation(here: Here) -> Iterable[Fault]:
    """Of a remote: it names its primary, which reads that once, when the remote secret comes or istiod starts."""
    ref = Ref(NAMESPACE, SYSTEM_NAMESPACE)
    live = here.get(ref)
    control = _name_of(here.control)
    told = (((live or {"metadata": {}})["metadata"]).get("annotations") or {}).get(ANNOTATION, "")
    if live is None or {"*", control} & set(told.split(",")):
        return
    yield _fault(
        here,
        [here],
        ref,
        msg(
            "{cluster}: the annotation {annotation} of {object} is {found} and does not name {primary}: its istiod, once it has "
            "started anew, signs neither the injection webhook here nor gives new namespaces its root",
            cluster=here.name,
            annotation=ANNOTATION,
            object=str(ref),
            found=one_line(told) or msg("not there"),
            primary=one_line(control),
        ),
        f"{here.kubectl} annotate namespace {SYSTEM_NAMESPACE} {quoted(f'{ANNOTATION}={control}')} --overwrite",
        step=kinds.NAMESPACE.id(here.name),
    )


def _variable(here: Here) -> Iterable[Fault]:
    """Of a primary with remotes: its istiod is told that it has them."""
    remotes = answering(here.view.at(each.name) for each in here.mesh.remotes_of(here.name))
    ref, istiod = istiod_of(here)
    served = [each for each in remotes if not runs_istiod(each)]
    if not served or istiod is None:
        return
    found = environment(istiod).get(VARIABLE, "")
    if found is None or found.lower() in _TRUE:
        return
    yield _fault(
        here,
        served,
        ref,
        msg(
            "{cluster}: {object} runs without {variable}=true: it signs no injection webhook in {remotes}, nor gives new "
            "namespaces there its root",
            cluster=here.name,
            object=str(ref),
            variable=VARIABLE,
            remotes=listing(each.name for each in served),
        ),
        f"{here.kubectl} -n {SYSTEM_NAMESPACE} set env {quoted(f'deployment/{ref.name}')} -c {CONTAINER} {VARIABLE}=true",
    )


def _fault(here: Here, remotes: list[Here], ref: Ref, text: str, command: str, *, step: str | None = None) -> Fault:
    suffering = [each.name for each in remotes if _suffers(each)]
    tool = f"{here.control.kubectl} -n {SYSTEM_NAMESPACE}"
    restart = f"{tool} rollout restart {quoted(f'deployment/{istiod_of(here.control)[0].name}')}"
    return Fault(
        text,
        str(ref),
        evidence=(
            msg("{variable} of istiod in {primary}, {annotation} of the remotes", variable=VARIABLE, primary=here.control.name,
                annotation=ANNOTATION),
        ),
        remedy=msg("Set it, and have istiod of {primary} start anew: it asks each cluster once.", primary=here.control.name),
        commands=(command, restart),
        step=None if here.view.inferred else step,
        breaks=cut_off(here.view, suffering),
        # Whoever made a mesh by hand may sign the webhooks and give out the root by hand as well.
        severity="error" if suffering else "unsure" if here.view.inferred else "warning",
    )  # fmt: skip


def _suffers(remote: Here) -> bool:
    """Whether what that istiod would have written is missing there."""
    hooks = [
        hook["clientConfig"]
        for each in remote.objects(MUTATING_WEBHOOK, labels="app=sidecar-injector")
        for hook in each.get("webhooks") or []
        if (hook.get("clientConfig") or {}).get("service")
    ]
    unsigned = bool(hooks) and not any(each.get("caBundle") for each in hooks)
    return unsigned or remote.get(Ref(CONFIG_MAP, "istio-ca-root-cert", SYSTEM_NAMESPACE)) is None


def _name_of(control: Here) -> str:
    """The name by which the primary's istiod calls its own cluster."""
    _, istiod = istiod_of(control)
    return (environment(istiod).get("CLUSTER_ID") if istiod else None) or control.name


CHECK = Check(
    "external-istiod",
    "control-plane",
    "error",
    find,
    short=msg("remote not looked after"),
    title="A primary's istiod looks after its remotes",
    reads="Variable `EXTERNAL_ISTIOD` of the primary's istiod, annotation `topology.istio.io/controlPlaneClusters` of namespace "
    "`istio-system` in the remote, and there the injection webhook's `caBundle` and ConfigMap `istio-ca-root-cert`.",
    means="Only with both does istiod sign the remote's injection webhook and write its root into the remote's namespaces. Where "
    "these are missing, no Pod of the remote starts, and it is an error; else they stay as they are until istiod restarts or the "
    "root changes, and it is a warning.",
    arises="The remote was annotated after its remote secret was made, the annotation names another cluster, or the primary was "
    "installed again without `global.externalIstiod`.",
    mend="Set both, then restart the primary's istiod: it asks each cluster once, when it starts or the remote secret comes.",
)
