"""TLS with a gateway, as a program without a workload's certificate speaks it, ends in the simulation as it does with Envoy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.standing import Setting, finished_mesh
from wizard.clusters.kinds import DEPLOYMENT, ISTIO_GATEWAY, NAMESPACE, POD, SERVICE, Object, Ref
from wizard.clusters.port import Executed
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE

SNI = "outbound_.5000_._.helloworld.sample.svc.cluster.local"
GATEWAY = Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM_NAMESPACE)


@pytest.fixture
def made() -> Setting:
    return finished_mesh()


def executed(made: Setting, container: str, *argv: str, seconds: float = 10) -> Executed:
    """What the command prints in cluster1's client Pod."""
    cluster = made.world.cluster("cluster1")
    (pod,) = cluster.objects(POD, "sample", "app=curl")
    return cluster.execute(Ref(POD, pod["metadata"]["name"], "sample"), container, argv, seconds=seconds)


def openssl(made: Setting, *, sni: str = SNI, place: str = "192.0.2.12:31443", alpn: str = "istio") -> Executed:
    argv = ["timeout", "6", "openssl", "s_client", "-connect", place, "-servername", sni, "-alpn", alpn, "-brief"]
    return executed(made, "istio-proxy", *argv)


def curl(made: Setting, place: str = "192.0.2.12:31443") -> Executed:
    argv = ["curl", "-sv", "-k", "-o", "/dev/null", "--noproxy", "*", "--connect-timeout", "4", "--max-time", "6"]
    return executed(made, "istio-proxy", *argv, "--connect-to", f"{SNI}:15443:{place}", f"https://{SNI}:15443/")


def test_the_peers_workload_is_met_behind_its_gateway(made: Setting) -> None:
    done = openssl(made)
    assert done.code == 0
    assert "CONNECTION ESTABLISHED" in done.stderr


def no_sidecar(made: Setting) -> None:
    machine = made.machine(2)
    machine.change(Ref(NAMESPACE, "sample"), lambda live: live["metadata"]["labels"].pop("istio-injection"))
    with machine.settled():
        for record in machine.store.all(POD, "sample"):
            machine.store.remove(Ref(POD, record.manifest["metadata"]["name"], "sample"))


def no_server(made: Setting) -> None:
    made.machine(2).change(Ref(DEPLOYMENT, "helloworld-v2", "sample"), lambda live: live["spec"].update(replicas=0))


def no_service(made: Setting) -> None:
    with made.machine(2).settled():
        made.machine(2).store.remove(Ref(SERVICE, "helloworld", "sample"))


def other_mode(made: Setting) -> None:
    made.machine(2).change(GATEWAY, lambda live: live["spec"]["servers"][0]["tls"].update(mode="SIMPLE"))


def other_hosts(made: Setting) -> None:
    made.machine(2).change(GATEWAY, lambda live: live["spec"]["servers"][0].update(hosts=["*.example"]))


@pytest.mark.parametrize("broken", [no_sidecar, no_server, no_service, other_mode, other_hosts])
def test_a_gateway_that_passes_it_to_nobody_breaks_it_off(made: Setting, broken: Callable[[Setting], None]) -> None:
    broken(made)
    done = openssl(made)
    assert (done.stderr, done.code) == ("write:errno=104\n", 1)


@pytest.mark.parametrize("sni", ["outbound_.5001_._.helloworld.sample.svc.cluster.local", "helloworld.sample", ""])
def test_a_gateway_knows_no_other_names(made: Setting, sni: str) -> None:
    assert openssl(made, sni=sni).stderr == "write:errno=104\n"


def test_a_gateway_tells_mtls_by_what_is_offered(made: Setting) -> None:
    assert openssl(made, alpn="h2,http/1.1").stderr == "write:errno=104\n"
    done = curl(made)
    assert done.code == 35
    assert f"OpenSSL SSL_connect: Connection reset by peer in connection to {SNI}:15443" in done.stderr
    assert "Connected to 192.0.2.12" in done.stderr


def no_gateway_object(made: Setting) -> None:
    with made.machine(2).settled():
        made.machine(2).store.remove(GATEWAY)


def no_gateway(made: Setting) -> None:
    made.machine(2).change(
        Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE), lambda live: live["spec"].update(replicas=0)
    )


@pytest.mark.parametrize("broken", [no_gateway_object, no_gateway])
def test_where_nobody_listens_it_is_refused(made: Setting, broken: Callable[[Setting], None]) -> None:
    broken(made)
    done = openssl(made)
    assert done.code == 1
    assert "connect:errno=111" in done.stderr
    done = curl(made)
    assert done.code == 7
    assert "connect to 192.0.2.12 port 31443 failed: Connection refused" in done.stderr


def closed(made: Setting) -> str:
    made.machine(2).blocked_ports.add(31443)
    return "192.0.2.12:31443"


def isolated(made: Setting) -> str:
    spec: Object = {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}
    metadata = {"name": "closed", "namespace": "sample"}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    made.machine(1).apply_as("kubectl", policy)
    return "192.0.2.12:31443"


@pytest.mark.parametrize("broken", [closed, isolated, lambda made: "192.0.2.99:31443"])
def test_where_nobody_answers_it_takes_its_time(made: Setting, broken: Callable[[Setting], str]) -> None:
    place = broken(made)
    assert (openssl(made, place=place).code, curl(made, place).code) == (124, 28)


def test_another_name_than_that_of_the_address_is_not_resolved(made: Setting) -> None:
    argv = ["curl", "-skv", "--connect-to", "other:15443:192.0.2.12:31443", f"https://{SNI}:15443/"]
    assert executed(made, "istio-proxy", *argv).code == 6


def test_what_is_no_address_is_none(made: Setting) -> None:
    assert executed(made, "istio-proxy", "openssl", "s_client", "-connect", "nowhere").code == 1
    assert executed(made, "istio-proxy", "openssl", "version").code == 1


def test_a_command_has_its_time(made: Setting) -> None:
    assert executed(made, "curl", "timeout", "2", "sleep", "3").code == 124
    assert executed(made, "curl", "timeout", "3", "sleep", "2").code == 0
    assert executed(made, "curl", "timeout", "30", "sleep", "20", seconds=10).code == -1


def test_the_proxys_own_requests_are_not_captured(made: Setting) -> None:
    argv = ("curl", "-sS", "http://helloworld.sample:5000/hello?n=[1-8]")
    assert "version: v2" in executed(made, "curl", *argv).stdout
    answers = executed(made, "istio-proxy", *argv).stdout.splitlines()
    assert len(answers) == 8
    assert all("version: v1" in each for each in answers)
