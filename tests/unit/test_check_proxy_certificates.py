"""The check `proxy-certificates`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, whole
from tests.unit.test_check_trust_domain import says
from tests.unit.trust_fakes import cacerts_of, intermediate, other_root, put_cacerts
from wizard.certificates import pem
from wizard.checks.standing.check import Fault
from wizard.checks.standing.trust.proxy_certificates import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import Ref
from wizard.clusters.port import Cluster, Executed
from wizard.errors import Failed

NOW = datetime.now(UTC)
OLD = 0x0BAD


@dataclass(frozen=True)
class Holds:
    """What a proxy shows on its page, beside what it shows to browsers."""

    root: int
    domain: str = "cluster.local"
    end: datetime = NOW + timedelta(hours=20)

    def page(self) -> str:
        mesh = {
            "ca_cert": [{"serial_number": f"{self.root:032x}", "days_until_expiration": "3000"}],
            "cert_chain": [
                {
                    "serial_number": "01",
                    "subject_alt_names": [{"uri": f"spiffe://{self.domain}/ns/sample/sa/default"}],
                    "expiration_time": f"{self.end:%Y-%m-%dT%H:%M:%SZ}",
                }
            ],
        }
        browsers = {
            "ca_cert": [{"serial_number": "ff"}],
            "cert_chain": [{"subject_alt_names": [{"dns": "a.example"}], "expiration_time": "2001-01-01T00:00:00Z"}],
        }
        return json.dumps({"certificates": [mesh, browsers, {"ca_cert": [], "cert_chain": []}]})


@dataclass
class Proxied:
    """A cluster whose proxies show these pages, by the beginning of the Pod's name."""

    cluster: Cluster
    pages: Mapping[str, str]
    other: str
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        assert (container, list(argv)) == ("istio-proxy", ["pilot-agent", "request", "GET", "certs"])
        self.asked.append(pod.name)
        return Executed(
            next((page for name, page in self.pages.items() if pod.name.startswith(name)), self.other), "", 0
        )


def present(made: Setting, number: int = 1) -> int:
    return pem.certificates(cacerts_of(made, number)["root-cert.pem"])[0].serial_number


def faults(made: Setting, *pages: Mapping[str, Holds | str]) -> list[tuple[str, Fault]]:
    """What is found where the proxies of each cluster hold this, and the others what they should."""
    whole = Holds(present(made)).page()
    clusters = {
        each.name: Proxied(
            made.world.clusters[each.name],
            {name: held if isinstance(held, str) else held.page() for name, held in told.items()},
            whole,
        )
        for each, told in zip(made.mesh.clusters, pages or ({}, {}), strict=True)
    }
    view = View(made.mesh, cast(Mapping[str, Cluster], clusters))
    return [(here.name, fault) for here in view.all for fault in CHECK.find(here)]


@pytest.fixture(scope="module")
def made() -> Setting:
    return finished_mesh()


def test_of_proxies_that_hold_what_is_given_out_nothing_is_said(made: Setting) -> None:
    assert faults(made) == []
    assert faults(finished_remote()) == []


def test_over_simulated_proxies_nothing_worse_than_doubt_is_found(made: Setting) -> None:
    told = [each for each in whole(made).findings if each.check == CHECK.id]
    assert [each for each in told if each.severity != "unsure"] == []


@pytest.mark.parametrize(
    ("pod", "breaks"),
    [
        ("helloworld", (("cluster1", "cluster2"), ("cluster2", "cluster2"))),
        ("curl", (("cluster2", "cluster1"), ("cluster2", "cluster2"))),
    ],
)
def test_one_that_keeps_an_old_root_is_named(made: Setting, pod: str, breaks: object) -> None:
    ((cluster, fault),) = faults(made, {}, {pod: Holds(OLD)})
    assert cluster == "cluster2"
    assert fault.object.startswith(f"Pod {pod}")
    assert (fault.severity, fault.breaks) == ("error", breaks)
    assert f"{OLD:x}" in fault.text
    assert fault.commands[0].startswith("kubectl --context=kubernetes-admin2@kubernetes -n sample delete pod " + pod)


def test_where_those_that_it_meets_keep_the_same_nothing_is_broken_yet(made: Setting) -> None:
    everybody = {"helloworld": Holds(OLD), "curl": Holds(OLD)}
    told = faults(made, everybody, everybody)
    assert {(fault.severity, fault.breaks) for _, fault in told} == {("warning", ())}
    assert len(told) == 4


def test_a_gateway_passes_on_and_breaks_nothing(made: Setting) -> None:
    ((_, fault),) = faults(made, {}, {"istio-eastwestgateway": Holds(OLD)})
    assert (fault.severity, fault.breaks) == ("warning", ())


def test_an_expired_certificate_is_an_error(made: Setting) -> None:
    expired = Holds(present(made), end=NOW - timedelta(hours=2))
    ((cluster, fault),) = faults(made, {"helloworld": expired}, {})
    assert (cluster, fault.severity) == ("cluster1", None)
    assert set(fault.breaks) == {("cluster1", "cluster1"), ("cluster2", "cluster1")}
    assert f"expired on {expired.end:%Y-%m-%d %H:%M}" in fault.text


def test_an_identity_of_another_domain_is_an_error(made: Setting) -> None:
    ((cluster, fault),) = faults(made, {"curl": Holds(present(made), domain="old.example")}, {})
    assert cluster == "cluster1"
    assert "old.example" in fault.text
    assert set(fault.breaks) == {("cluster1", "cluster1"), ("cluster1", "cluster2")}


def test_an_alias_is_known() -> None:
    made = finished_mesh()
    for number in (1, 2):
        says(made, number, trustDomainAliases=["old.example"])
    assert faults(made, {"curl": Holds(present(made), domain="old.example")}, {}) == []


def test_what_follows_from_control_planes_that_differ_is_told_of_these() -> None:
    made = finished_mesh()
    root = present(made)
    says(made, 2, trustDomain="other.example")
    assert faults(made, {}, {"curl": Holds(root, domain="old.example")}) == []
    says(made, 2, trustDomain="cluster.local")
    put_cacerts(made, 2, intermediate(other_root()))
    assert faults(made, {}, {"curl": Holds(OLD)}) == []


def test_a_root_that_has_no_serial_number_is_not_compared(made: Setting) -> None:
    apart = finished_mesh()
    for machine in apart.outside.machines:
        machine.signs_for = b"simulated self-signed root"
    assert faults(apart, {"curl": Holds(OLD)}, {}) == []


@pytest.mark.parametrize(
    "page",
    [
        "{}",
        '{"certificates": null}',
        '{"certificates": [{}]}',
        '{"certificates": [{"ca_cert": [{}], "cert_chain": [{"subject_alt_names": [{"uri": "spiffe://[a/ns"}]}]}]}',
        '{"certificates": [{"ca_cert": [{"serial_number": "x"}], "cert_chain": [{"subject_alt_names": [{"uri": '
        '"spiffe://cluster.local/ns"}], "expiration_time": "soon"}]}]}',
    ],
)
def test_a_page_that_tells_nothing_is_no_fault(made: Setting, page: str) -> None:
    assert faults(made, {"curl": page}, {}) == []


@pytest.mark.parametrize("page", ["", "404", "[]", '{"certificates": [{"ca_cert": "x"}]}'])
def test_a_page_of_another_shape_is_trouble(made: Setting, page: str) -> None:
    with pytest.raises(Failed, match="gives no answer to certs"):
        faults(made, {"curl": page}, {})


def test_what_a_page_names_is_shown_printable(made: Setting) -> None:
    ((_, fault),) = faults(made, {"curl": replace(Holds(present(made)), domain="a\u202eb")}, {})
    assert "\u202e" not in fault.text
