"""The contract of `Istioctl`. Written once, held against the simulated istioctl and against Istio's own.

Subclass a class, call it `Test...` and give it the fixtures that its docstring names. `IstioctlContract` asks no cluster;
`InstallContract` installs Istio and leaves it there: it needs a cluster that may be thrown away.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.manifests import soon
from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Ref,
)
from wizard.clusters.port import Cluster
from wizard.errors import Failed, Interrupted, Trouble
from wizard.istio.port import Istioctl
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE

OWNER = "meshwizard-contract"
NODE_PORT = 31543
TOKEN = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM_NAMESPACE)


STANDING = (
    Ref(CRD, "gateways.networking.istio.io"),
    Ref(CLUSTER_ROLE, "istiod-clusterrole-istio-system"),
    Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE),
    Ref(CONFIG_MAP, "istio-sidecar-injector", SYSTEM_NAMESPACE),
    Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE),
    Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE),
    Ref(MUTATING_WEBHOOK, "istio-sidecar-injector"),
    Ref(MUTATING_WEBHOOK, "istio-revision-tag-default"),
    Ref(SERVICE, "istiod", SYSTEM_NAMESPACE),
    Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE),
    Ref(SERVICE_ACCOUNT, "istio-reader-service-account", SYSTEM_NAMESPACE),
    Ref(SERVICE_ACCOUNT, f"{GATEWAY_NAME}-service-account", SYSTEM_NAMESPACE),
    Ref(VALIDATING_WEBHOOK, "istio-validator-istio-system"),
    Ref(VALIDATING_WEBHOOK, "istiod-default-validator"),
)


def operator(member: model.Cluster, hub: str, tag: str) -> dict[str, Any]:
    """An IstioOperator of the shape that the wizard makes, in plain text, so that the contract depends on no step."""
    ports = [
        {"name": "status-port", "port": 15021, "targetPort": 15021},
        {"name": "tls", "port": 15443, "targetPort": 15443, "nodePort": NODE_PORT},
    ]
    labels = {"app": GATEWAY_NAME, "istio": "eastwestgateway"}
    k8s = {"service": {"type": "NodePort", "ports": ports}}
    return {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": OWNER, "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "profile": "minimal",
            "hub": hub,
            "tag": tag,
            "meshConfig": {"trustDomain": "contract.example"},
            "components": {"ingressGateways": [{"name": GATEWAY_NAME, "enabled": True, "label": labels, "k8s": k8s}]},
            "values": {
                "gateways": {"istio-ingressgateway": {"injectionTemplate": "gateway"}},
                "global": {
                    "meshID": "contract",
                    "network": member.network,
                    "multiCluster": {"clusterName": member.name},
                    "imagePullPolicy": "IfNotPresent",
                    "meshNetworks": {
                        member.network: {
                            "endpoints": [{"fromRegistry": member.name}],
                            "gateways": [{"address": "192.0.2.99", "port": NODE_PORT}],
                        }
                    },
                },
            },
        },
    }


class IstioctlContract:
    """Fixture: `istioctl`."""

    def test_it_tells_its_version_without_a_cluster(self, istioctl: Istioctl) -> None:
        assert re.fullmatch(r"1\.\d+\.\d+\S*", istioctl.version())
        assert istioctl.path


class InstallContract:
    """Fixtures: `istioctl`; `cluster`, without Istio, to be thrown away; `member`, the same as a `model.Cluster`; `hub`,
    where images are; `overlays`. The first tests come before the install, which the others ask for.
    """

    PATIENCE = 8.0  # seconds: long enough for istioctl to be in the midst of its work

    @pytest.fixture(scope="class")
    @classmethod
    def wanted(cls, istioctl: Istioctl, member: model.Cluster, hub: str) -> str:
        return yaml.safe_dump(operator(member, hub, istioctl.version()))

    @pytest.fixture(scope="class")
    @classmethod
    def installed(
        cls, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path]
    ) -> list[str]:
        """What istioctl said during the install."""
        said: list[str] = []
        istioctl.install(member, wanted, overlays, say=said.append, cancelled=lambda: False, seconds=300)
        return said

    @pytest.mark.parametrize("place", ["spec", "spec.values.global", "spec.components", "spec.components.pilot"])
    def test_a_wrong_name_is_refused(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path],
        place: str,
    ) -> None:  # fmt: skip
        document = yaml.safe_load(wanted)
        here = document
        for name in place.split("."):
            here = here.setdefault(name, {})
        here["mistyped"] = {}
        with pytest.raises(Failed, match="mistyped"):
            istioctl.install(
                member, yaml.safe_dump(document), overlays, say=lambda _: None, cancelled=lambda: False, seconds=60
            )
        assert cluster.get(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is None

    def test_a_cancelled_install_ends(
        self, istioctl: Istioctl, member: model.Cluster, wanted: str, overlays: Sequence[Path]
    ) -> None:
        began = time.monotonic()
        with pytest.raises(Interrupted):
            istioctl.install(member, wanted, overlays, say=lambda _: None, cancelled=lambda: True, seconds=120)
        assert time.monotonic() - began < 20

    def test_an_install_has_its_time(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path]
    ) -> None:
        document = yaml.safe_load(wanted)
        document["spec"]["hub"] = "nowhere.invalid/istio"  # its images can be pulled nowhere, so istiod never answers
        began = time.monotonic()
        with pytest.raises(Failed) as told:
            istioctl.install(
                member,
                yaml.safe_dump(document),
                overlays,
                say=lambda _: None,
                cancelled=lambda: False,
                seconds=self.PATIENCE,
            )
        assert not isinstance(told.value, Interrupted)
        assert self.PATIENCE * 0.9 < time.monotonic() - began < 60

    def test_it_speaks_while_it_works(self, installed: list[str]) -> None:
        said = installed
        done = [re.sub(r"^✔ ([\w ]+?)( \W+)?$", r"\1", line.strip()) for line in said if line.strip().startswith("✔")]
        assert done == [
            "Istio core installed", "Istiod installed", "Ingress gateways installed", "Installation complete",
        ]  # fmt: skip
        assert any("Waiting for Deployment/istio-system/istiod" in line for line in said)

    def test_it_labels_the_namespace_that_it_makes(
        self, cluster: Cluster, member: model.Cluster, installed: list[str]
    ) -> None:
        place = cluster.get(Ref(NAMESPACE, SYSTEM_NAMESPACE))
        assert place is not None
        assert place["metadata"]["labels"]["topology.istio.io/network"] == member.network

    def test_what_stands_says_whose_it_is(self, cluster: Cluster, installed: list[str]) -> None:
        for ref in STANDING:
            live = cluster.get(ref)
            assert live is not None, str(ref)
            labels = live["metadata"]["labels"]
            assert labels["install.operator.istio.io/owning-resource"] == OWNER
            assert labels["install.operator.istio.io/owning-resource-namespace"] == SYSTEM_NAMESPACE
            assert labels["operator.istio.io/managed"] == "Reconcile"
            assert labels["operator.istio.io/version"]
            assert "istio-operator" in {entry["manager"] for entry in live["metadata"]["managedFields"]}

    def test_what_was_asked_for_stands(
        self, istioctl: Istioctl, cluster: Cluster, member: model.Cluster, hub: str, installed: list[str]
    ) -> None:
        config = cluster.get(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE))
        assert config is not None
        assert yaml.safe_load(config["data"]["mesh"])["trustDomain"] == "contract.example"
        assert yaml.safe_load(config["data"]["meshNetworks"])["networks"] == {
            member.network: {
                "endpoints": [{"fromRegistry": member.name}],
                "gateways": [{"address": "192.0.2.99", "port": NODE_PORT}],
            }
        }
        istiod = cluster.get(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE))
        assert istiod is not None
        (discovery,) = istiod["spec"]["template"]["spec"]["containers"]
        assert (discovery["name"], discovery["image"]) == ("discovery", f"{hub}/pilot:{istioctl.version()}")
        assert {"name": "CLUSTER_ID", "value": member.name} in discovery["env"]

    def test_istiod_and_gateway_are_available(self, cluster: Cluster, installed: list[str]) -> None:
        for name in ("istiod", GATEWAY_NAME):
            live = cluster.get(Ref(DEPLOYMENT, name, SYSTEM_NAMESPACE))
            assert live is not None
            assert live["status"]["availableReplicas"] >= 1
        service = cluster.get(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE))
        assert service is not None
        assert {"port": 15443, "nodePort": NODE_PORT}.items() <= {
            key: value for port in service["spec"]["ports"] if port["port"] == 15443 for key, value in port.items()
        }.items()

    def test_the_webhooks_are_signed(self, cluster: Cluster, installed: list[str]) -> None:
        for name in ("istio-sidecar-injector", "istio-revision-tag-default"):
            live = cluster.get(Ref(MUTATING_WEBHOOK, name))
            assert live is not None
            assert live["metadata"]["labels"]["install.operator.istio.io/owning-resource"] == OWNER
            assert all(hook["clientConfig"]["caBundle"] for hook in live["webhooks"])

    def test_only_the_webhook_of_the_default_tag_injects(self, cluster: Cluster, installed: list[str]) -> None:
        def switched_off(name: str) -> set[bool]:
            hooks = (cluster.get(Ref(MUTATING_WEBHOOK, name)) or {})["webhooks"]
            return {"istio.io/deactivated" in (hook["namespaceSelector"].get("matchLabels") or {}) for hook in hooks}

        assert switched_off("istio-sidecar-injector") == {True}
        assert switched_off("istio-revision-tag-default") == {False}

    def test_installing_again_replaces_nothing(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path],
        installed: list[str],
    ) -> None:  # fmt: skip
        before = {ref: (cluster.get(ref) or {})["metadata"]["uid"] for ref in STANDING}
        istioctl.install(member, wanted, overlays, say=lambda _: None, cancelled=lambda: False, seconds=300)
        assert {ref: (cluster.get(ref) or {})["metadata"]["uid"] for ref in STANDING} == before

    def test_it_takes_over_whatever_has_the_name_of_its_own(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path],
        installed: list[str],
    ) -> None:  # fmt: skip
        """By force, with its mark on it: what others had there is lost, but for labels that it does not set."""
        role = Ref(CLUSTER_ROLE, "istio-reader-clusterrole-istio-system")
        cluster.delete(role)
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        metadata = {"name": role.name, "labels": {"app": "theirs", "contract": "theirs"}}
        before = cluster.apply(
            {"apiVersion": role.kind.api_version, "kind": role.kind.kind, "metadata": metadata, "rules": rules}
        )
        istioctl.install(member, wanted, overlays, say=lambda _: None, cancelled=lambda: False, seconds=300)
        after = cluster.get(role)
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["rules"] != rules
        labels = after["metadata"]["labels"]
        assert (labels["app"], labels["contract"]) == ("istio-reader", "theirs")
        assert labels["install.operator.istio.io/owning-resource"] == OWNER
        rendered = istioctl.manifest(wanted, overlays)
        assert (role.kind.kind, role.name) in {(item["kind"], item["metadata"]["name"]) for item in rendered}
        assert "CustomResourceDefinition" not in {item["kind"] for item in rendered}

    def test_ours_goes_over_the_overlays(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path],
        installed: list[str], tmp_path: Path,
    ) -> None:  # fmt: skip
        extra = tmp_path / "extra.yaml"
        spec = {"meshConfig": {"trustDomain": "overlay.example", "accessLogFile": "/dev/stdout"}}
        head = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator"}
        extra.write_text(yaml.safe_dump({**head, "spec": spec}))
        istioctl.install(member, wanted, [*overlays, extra], say=lambda _: None, cancelled=lambda: False, seconds=300)
        config = cluster.get(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE))
        assert config is not None
        mesh = yaml.safe_load(config["data"]["mesh"])
        assert (mesh["trustDomain"], mesh["accessLogFile"]) == ("contract.example", "/dev/stdout")

    def test_what_is_left_out_is_pruned(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path],
        installed: list[str],
    ) -> None:  # fmt: skip
        document = yaml.safe_load(wanted)
        document["spec"]["components"] = {}
        shorter = yaml.safe_dump(document)
        istioctl.install(member, shorter, overlays, say=lambda _: None, cancelled=lambda: False, seconds=300)
        pruned = [Ref(kind, GATEWAY_NAME, SYSTEM_NAMESPACE) for kind in (DEPLOYMENT, SERVICE)]
        # istioctl deletes in the foreground: the object stays until its pods are gone.
        soon(lambda: not any(cluster.get(ref) for ref in pruned), "the gateway to go")
        assert cluster.get(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)) is not None
        assert cluster.get(Ref(CRD, "gateways.networking.istio.io")) is not None

    def test_remote_secret(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, installed: list[str]
    ) -> None:
        server = "https://192.0.2.99:6443"
        made = istioctl.remote_secret(member, server=server)
        assert made["kind"] == "Secret"
        assert made["metadata"]["name"] == f"istio-remote-secret-{member.name}"
        assert made["metadata"]["labels"] == {"istio/multiCluster": "true"}
        assert made["metadata"]["annotations"] == {"networking.istio.io/cluster": member.name}
        kubeconfig = yaml.safe_load(made["stringData"][member.name])
        assert kubeconfig["clusters"][0]["cluster"]["server"] == server
        token = cluster.get(TOKEN)
        assert token is not None
        assert kubeconfig["users"][0]["user"]["token"] == base64.b64decode(token["data"]["token"]).decode()
        authority = base64.b64decode(kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"])
        assert authority == base64.b64decode(token["data"]["ca.crt"])
        assert cluster.get(Ref(SERVICE_ACCOUNT, "istio-reader-service-account", SYSTEM_NAMESPACE)) is not None

    def test_a_remote_secret_again_is_the_same(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, installed: list[str]
    ) -> None:
        first = istioctl.remote_secret(member, server=cluster.server)
        assert istioctl.remote_secret(member, server=cluster.server) == first

    def test_a_refused_object_fails_the_install(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, wanted: str, overlays: Sequence[Path]
    ) -> None:
        document = yaml.safe_load(wanted)
        ports = document["spec"]["components"]["ingressGateways"][0]["k8s"]["service"]["ports"]
        ports[0]["nodePort"] = 80
        said: list[str] = []
        with pytest.raises(Trouble, match="not in the valid range"):
            istioctl.install(
                member, yaml.safe_dump(document), overlays, say=said.append, cancelled=lambda: False, seconds=300
            )
        assert any(line.strip().startswith("✘ Ingress gateways encountered an error") for line in said)
