"""The check `answer`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, whole
from tests.unit.standing_policies import found_in, heard
from wizard.clusters.kinds import SECRET, Ref
from wizard.simulated import connections

MISSING = {"cluster1": ["cluster2"]}
UPSTREAM = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, "


@pytest.fixture(scope="module")
def made() -> Setting:
    return finished_mesh()


def test_of_a_client_that_hears_everybody_nothing_is_said(made: Setting) -> None:
    assert found_in(heard(made, {}, connections.CERTIFICATE.out), "answer") == []
    assert found_in(heard(made, MISSING, "something else"), "answer") == []
    assert found_in(heard(made, MISSING), "answer") == []


@pytest.mark.parametrize(
    ("said", "layer"),
    [
        (connections.CERTIFICATE.out, "trust"),
        (f"{UPSTREAM}TLS_error:|268436504:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA:TLS_error_end", "trust"),
        (
            f"{UPSTREAM}TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end",
            "workload",
        ),
        (connections.RESET.out, "gateway"),
        (connections.REFUSED.out, "gateway"),
        (f"{UPSTREAM}delayed connect error: 111", "gateway"),
        (f"{UPSTREAM}delayed connect error: 113", "network"),
        (connections.UNHEALTHY.out, "discovery"),
        ("RBAC: access denied", "workload"),
        ("fault filter abort", "workload"),
        ("curl: (28) Operation timed out after 5000 milliseconds with 0 bytes received", "gateway"),
        ("curl: (6) Could not resolve host: helloworld.sample", "workload"),
    ],
)
def test_what_it_heard_says_in_which_layer_to_look(made: Setting, said: str, layer: str) -> None:
    (finding,) = found_in(heard(made, MISSING, said), "answer")
    assert (finding.severity, finding.breaks) == ("unsure", (("cluster1", "cluster2"),))
    assert f"(layer {layer})" in finding.text
    assert said[:60] in finding.text
    assert finding.commands == (
        "kubectl --context=kubernetes-admin1@kubernetes -n sample exec deploy/curl -c curl -- "
        "curl -sS -m 5 http://helloworld.sample:5000/hello",
    )


def test_it_is_never_the_cause() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(Ref(SECRET, "istio-remote-secret-cluster2", "istio-system"))
    diagnosis = whole(made)
    assert not diagnosis.proven
    assert diagnosis.cause is None or diagnosis.cause.check != "answer"
