"""The check `sidecars`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.standing import Setting, finished_mesh, found, view_of
from tests.unit.standing_policies import found_in, mesh_of
from wizard.checks.finding import Finding
from wizard.clusters.kinds import DEPLOYMENT, MUTATING_WEBHOOK, NAMESPACE, POD, Ref

REDIRECTED = "ambient.istio.io/redirection"
SAMPLE = Ref(NAMESPACE, "sample")
LABEL = "kubectl --context=kubernetes-admin2@kubernetes label namespace sample --overwrite "
RESTART = "kubectl --context=kubernetes-admin2@kubernetes -n sample rollout restart deployment/helloworld-v2"


def label(made: Setting, **labels: str | None) -> None:
    def change(live: Any) -> None:
        live["metadata"]["labels"] = {"istio-injection": "enabled", **live["metadata"]["labels"]}
        for key, value in labels.items():
            name = key.replace("_", "-") if key != "rev" else "istio.io/rev"
            if value is None:
                live["metadata"]["labels"].pop(name, None)
            else:
                live["metadata"]["labels"][name] = value

    made.machine(2).change(SAMPLE, change)


def anew(made: Setting, app: str = "helloworld") -> None:
    """The Pods are made again."""
    for pod in made.machine(2).listed(POD, "sample", f"app={app}"):
        made.machine(2).store.remove(Ref(POD, pod["metadata"]["name"], "sample"))


def bared(change: Callable[[Setting], None], app: str = "helloworld") -> Finding:
    made = finished_mesh()
    change(made)
    anew(made, app)
    (finding,) = found(made, "sidecars")
    return finding


def test_of_pods_with_sidecars_nothing_is_said() -> None:
    assert found(finished_mesh(), "sidecars") == []


def test_servers_without_are_reached_from_no_other_network() -> None:
    finding = bared(lambda made: label(made, istio_injection="disabled"))
    assert finding.object.startswith("Pod helloworld-v2-")
    assert (finding.severity, finding.breaks) == ("error", (("cluster1", "cluster2"),))
    assert "labelled istio-injection=disabled" in finding.text
    assert finding.commands == (f"{LABEL}istio-injection=enabled", RESTART)
    assert finding.step == "cluster2/sample"


def test_a_client_without_asks_past_the_mesh() -> None:
    finding = bared(lambda made: label(made, istio_injection=None), "curl")
    assert finding.object.startswith("Pod curl-")
    assert finding.breaks == (("cluster2", "cluster1"),)
    assert "lacks label istio-injection=enabled" in finding.text


def test_a_namespace_that_asks_another_istiod_is_told() -> None:
    finding = bared(lambda made: label(made, istio_injection=None, rev="other"))
    assert "labelled istio.io/rev=other, not istio-injection=enabled" in finding.text
    assert finding.commands == (f"{LABEL}istio-injection=enabled istio.io/rev-", RESTART)


def test_a_tag_is_another_name_of_the_revision() -> None:
    made = finished_mesh()
    label(made, istio_injection=None)
    anew(made)
    found(made, "sidecars")
    label(made, istio_injection=None, rev="prod")
    (finding,) = found(made, "sidecars")
    assert "asks another istiod" in finding.text
    tag = Ref(MUTATING_WEBHOOK, "istio-revision-tag-default")
    made.machine(2).change(tag, lambda live: live["metadata"]["labels"].update({"istio.io/tag": "prod"}))
    (finding,) = found(made, "sidecars")
    assert "made before that" in finding.text


def test_pods_that_were_made_before_the_label_are_told() -> None:
    made = finished_mesh()
    label(made, istio_injection=None)
    anew(made)
    found(made, "sidecars")
    label(made, istio_injection="enabled")
    (finding,) = found(made, "sidecars")
    assert "made before that, or while nothing injected" in finding.text
    assert finding.commands == (RESTART,)


def test_pods_that_refuse_one_are_told() -> None:
    made = finished_mesh()

    def refuse(live: Any) -> None:
        live["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"

    made.machine(2).change(Ref(DEPLOYMENT, "helloworld-v2", "sample"), refuse)
    (finding,) = found(made, "sidecars")
    assert 'it says sidecar.istio.io/inject: "false"' in finding.text
    assert "patch deployment/helloworld-v2 --type=merge -p" in finding.commands[0]


def test_one_of_several_only_warns() -> None:
    made = finished_mesh()
    made.machine(2).change(Ref(DEPLOYMENT, "helloworld-v2", "sample"), lambda live: live["spec"].update(replicas=2))
    found(made, "sidecars")
    label(made, istio_injection="disabled")
    first, *_ = made.machine(2).listed(POD, "sample", "app=helloworld")
    made.machine(2).store.remove(Ref(POD, first["metadata"]["name"], "sample"))
    (finding,) = found(made, "sidecars")
    assert (finding.severity, finding.breaks) == ("warning", ())


def test_on_one_network_plain_text_passes() -> None:
    made = mesh_of([None, None], ["network1", "network1"])
    label(made, istio_injection="disabled")
    anew(made)
    assert [(each.severity, each.breaks) for each in found(made, "sidecars")] == [("warning", ())]


def test_pods_that_a_nodes_proxy_serves_need_none() -> None:
    made = finished_mesh()
    label(made, istio_injection="disabled")
    anew(made)
    for pod in made.machine(2).listed(POD, "sample", "app=helloworld"):
        ref = Ref(POD, pod["metadata"]["name"], "sample")
        made.machine(2).change(ref, lambda live: live["metadata"].update(annotations={REDIRECTED: "enabled"}))
    assert found_in(view_of(made), "sidecars") == []
