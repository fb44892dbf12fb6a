"""Whatever stands in policies, settings and pages, the checks of the sample's traffic never fail over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh
from tests.unit.standing_policies import clear, found_in, heard, paged, put
from wizard.checks.standing.diagnosis import checks
from wizard.checks.standing.view import View
from wizard.clusters.kinds import (
    AUTHORIZATION_POLICY,
    CONFIG_MAP,
    DESTINATION_RULE,
    NETWORK_POLICY,
    PEER_AUTHENTICATION,
    SERVICE,
    SIDECAR,
    VIRTUAL_SERVICE,
    Kind,
    Ref,
)
from wizard.errors import Failed

KINDS = (
    AUTHORIZATION_POLICY, DESTINATION_RULE, NETWORK_POLICY, PEER_AUTHENTICATION, SIDECAR, VIRTUAL_SERVICE,
)  # fmt: skip
FIELDS = {
    AUTHORIZATION_POLICY: ("selector", "rules", "action", "targetRef", "targetRefs"),
    DESTINATION_RULE: ("host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"),
    NETWORK_POLICY: ("podSelector", "ingress", "egress", "policyTypes"),
    PEER_AUTHENTICATION: ("selector", "mtls", "portLevelMtls"),
    SIDECAR: ("workloadSelector", "egress", "outboundTrafficPolicy"),
    VIRTUAL_SERVICE: ("hosts", "gateways", "http", "exportTo"),
}
ANYTHING: tuple[Any, ...] = ("\x1b*", 0, [], {}, ["*"], [[]], {"*": "*"}, [{"*": ["*"]}])
WHOLE = {
    DESTINATION_RULE: {"host": "*"},
    VIRTUAL_SERVICE: {"hosts": ["*"], "http": [{}]},
    SIDECAR: {"egress": [{"hosts": ["/", "*"]}]},
}
DEEP = {
    AUTHORIZATION_POLICY: [
        {"rules": [{"from": [{"source": {"not": ["x"], "notNothing": ["*"], "principals": ["*", "/"]}}]}]}
    ],
    DESTINATION_RULE: [
        {
            "host": "*",
            "trafficPolicy": {"outlierDetection": {}, "loadBalancer": {"localityLbSetting": {"distribute": [{}]}}},
        },
        {"host": "*", "trafficPolicy": {"tls": {}, "portLevelSettings": [{}]}},
    ],
    NETWORK_POLICY: [
        {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": 1}}], "ports": [{"port": "web"}]}]}
    ],
    VIRTUAL_SERVICE: [
        {
            "hosts": ["*"],
            "http": [{"match": [{"uri": 1, "headers": [], "port": "x", "gateways": 5, "sourceLabels": {"a": []}}]}],
        },
        {"hosts": ["*"], "http": [{"fault": {"abort": {"percentage": {"value": "all"}}, "delay": {"fixedDelay": []}}}]},
        {"hosts": ["*"], "http": [{"route": [{}, {"destination": {}}]}]},
    ],
}


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, *KINDS)


def ask_all(view: View) -> None:
    for check in checks():
        if check.layer == "workload":
            found_in(view, check.id)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_policies_may_say_anything(made: Setting, kind: Kind) -> None:
    specs = [{**WHOLE.get(kind, {}), field: value} for field in FIELDS[kind] for value in ANYTHING]
    for spec in [*specs, *DEEP.get(kind, [])]:
        put(made, 1, kind, spec)
        ask_all(heard(made, {"cluster1": ["cluster2"]}))


@pytest.mark.parametrize(
    "text",
    [
        "[]", "a: {", "trustDomain: [1]\ntrustDomainAliases: {a: 1}\nrootNamespace: {}\n", "rootNamespace: 1",
        "defaultServiceExportTo: {a: 1}\ndefaultVirtualServiceExportTo: [1, null]\nlocalityLbSetting: [1]\n",
        "outboundTrafficPolicy: 1\nserviceSettings: {a: 1}\ndefaultConfig: [x]\n",
    ],
)  # fmt: skip
def test_the_mesh_configuration_may_say_anything(text: str) -> None:
    made = finished_mesh()
    for name, key in (("istio", "mesh"), ("istio-sidecar-injector", "values")):
        ref = Ref(CONFIG_MAP, name, "istio-system")
        made.machine(1).change(ref, lambda live, key=key: live["data"].update({key: text}))
    rule = {"host": "*", "trafficPolicy": {"outlierDetection": {}}}
    for kind, spec in ((DESTINATION_RULE, rule), (AUTHORIZATION_POLICY, {}), (SIDECAR, {"egress": [{}]})):
        put(made, 1, kind, spec)
    ask_all(heard(made, {"cluster1": ["cluster2"]}))


def test_the_services_annotations_may_say_anything() -> None:
    made = finished_mesh()
    annotations = {"networking.istio.io/exportTo": ",,\x1b", "networking.istio.io/traffic-distribution": "\u202e"}
    made.machine(1).change(
        Ref(SERVICE, "helloworld", "sample"), lambda live: live["metadata"].update(annotations=annotations)
    )
    ask_all(heard(made, {"cluster1": ["cluster2"]}))
    (finding,) = found_in(heard(made, {}), "export-to")
    assert "\x1b" not in finding.text


@pytest.mark.parametrize(
    "page", [None, [], {"cluster_statuses": {}}, {"cluster_statuses": [{"name": 1}]}, {"stats": [1]}]
)
def test_a_page_of_another_shape_is_told_as_such(made: Setting, page: object) -> None:
    pages = {"clusters?format=json": page, "stats?filter=update_rejected&format=json": page}
    view = paged(heard(made, {"cluster1": ["cluster2"]}), pages)
    for check in ("endpoints", "endpoint-health", "rejected"):
        try:
            found_in(view, check)
        except Failed as failed:
            assert "gives no answer to" in failed.what
