"""What an install leaves in a remote, and what a revision adds to the names. Written once, held against the simulated istioctl
and against Istio's own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.istio_contract import OWNER, operator
from tests.contract.manifests import soon
from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
)
from wizard.clusters.port import Cluster
from wizard.errors import Failed
from wizard.istio.port import Istioctl
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE

PILOT = "192.0.2.98"  # nobody is there
REVISION = "contract"


def system(kind: Any, name: str) -> Ref:
    return Ref(kind, name, SYSTEM_NAMESPACE)


class RemoteContract:
    """Fixtures: `istioctl`; `cluster`, without Istio, to be thrown away; `member`, the same as a `model.Cluster`; `hub`,
    where images are; `overlays`.
    """

    PATIENCE = 25.0  # seconds: long enough for istioctl to wait for the gateway

    @pytest.fixture(scope="class")
    @classmethod
    def installed(
        cls, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, hub: str, overlays: Sequence[Path]
    ) -> Object:
        """The IstioOperator of a remote whose primary does not answer, installed without its gateway."""
        document = operator(member, hub, istioctl.version())
        document["spec"]["profile"] = "remote"
        values = document["spec"]["values"]
        values["istiodRemote"] = {"injectionPath": f"/inject/cluster/{member.name}/net/{member.network}"}
        values["global"]["remotePilotAddress"] = PILOT
        del values["global"]["meshNetworks"]
        bare = {**document, "spec": {**document["spec"], "components": {}}}
        istioctl.install(
            member, yaml.safe_dump(bare), overlays, say=lambda _: None, cancelled=lambda: False, seconds=120
        )
        return document

    def test_no_istiod_runs_there(self, cluster: Cluster, installed: Object) -> None:
        assert cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE) == []
        assert cluster.get(system(CONFIG_MAP, "istio")) is None
        assert cluster.get(system(CONFIG_MAP, "istio-sidecar-injector")) is None
        assert cluster.get(Ref(CRD, "gateways.networking.istio.io")) is not None
        assert cluster.get(system(SERVICE_ACCOUNT, "istio-reader-service-account")) is not None
        assert cluster.get(Ref(CLUSTER_ROLE, "istio-reader-clusterrole-istio-system")) is not None

    def test_a_service_leads_to_the_primary(self, cluster: Cluster, installed: Object) -> None:
        service = cluster.get(system(SERVICE, "istiod"))
        assert service is not None
        assert not service["spec"].get("selector")
        ports = {(each["port"], each["targetPort"], each["name"]) for each in service["spec"]["ports"]}
        assert ports == {(15012, 15012, "tcp-istiod"), (443, 15017, "tcp-webhook")}
        (found,) = cluster.objects(ENDPOINT_SLICE, SYSTEM_NAMESPACE, "kubernetes.io/service-name=istiod")
        assert [each["addresses"] for each in found["endpoints"]] == [[PILOT]]
        assert {(each["port"], each["name"]) for each in found["ports"]} == {
            (15012, "tcp-istiod"),
            (15017, "tcp-webhook"),
        }
        for live in (service, found):
            assert live["metadata"]["labels"]["install.operator.istio.io/owning-resource"] == OWNER

    def test_the_webhook_waits_for_its_certificate(
        self, cluster: Cluster, member: model.Cluster, installed: Object
    ) -> None:
        for name in ("istio-sidecar-injector", "istio-revision-tag-default"):
            hooks = cluster.get(Ref(MUTATING_WEBHOOK, name))
            assert hooks is not None, name
            for hook in hooks["webhooks"]:
                assert not hook["clientConfig"].get("caBundle")
                service = hook["clientConfig"]["service"]
                assert (service["name"], service["port"]) == ("istiod", 443)
                assert service["path"] == f"/inject/cluster/{member.name}/net/{member.network}"

    def test_it_validates_nothing(self, cluster: Cluster, installed: Object) -> None:
        assert cluster.get(Ref(VALIDATING_WEBHOOK, "istio-validator-istio-system")) is None

    def test_its_gateway_waits_for_the_injector(
        self, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, overlays: Sequence[Path], installed: Object
    ) -> None:
        began = time.monotonic()
        with pytest.raises(Failed):
            istioctl.install(
                member, yaml.safe_dump(installed), overlays,
                say=lambda _: None, cancelled=lambda: False, seconds=self.PATIENCE,
            )  # fmt: skip
        assert time.monotonic() - began > self.PATIENCE * 0.9
        assert cluster.get(system(DEPLOYMENT, GATEWAY_NAME)) is not None
        # The API server refuses its pods, as the webhook says that it must.
        assert cluster.objects(POD, SYSTEM_NAMESPACE) == []


class RevisionContract:
    """Fixtures as for `RemoteContract`."""

    @pytest.fixture(scope="class")
    @classmethod
    def installed(
        cls, istioctl: Istioctl, member: model.Cluster, cluster: Cluster, hub: str, overlays: Sequence[Path]
    ) -> str:
        """The revision that was installed."""
        document = operator(member, hub, istioctl.version())
        document["spec"]["revision"] = REVISION
        document["spec"]["values"]["global"]["externalIstiod"] = True
        istioctl.install(
            member, yaml.safe_dump(document), overlays, say=lambda _: None, cancelled=lambda: False, seconds=300
        )
        return REVISION

    def test_the_revision_stands_in_the_names(self, cluster: Cluster, installed: str) -> None:
        for each in (
            system(DEPLOYMENT, f"istiod-{installed}"),
            system(SERVICE, f"istiod-{installed}"),
            system(SERVICE_ACCOUNT, f"istiod-{installed}"),
            system(CONFIG_MAP, f"istio-{installed}"),
            system(CONFIG_MAP, f"istio-sidecar-injector-{installed}"),
            Ref(CLUSTER_ROLE, f"istiod-clusterrole-{installed}-istio-system"),
            Ref(MUTATING_WEBHOOK, f"istio-sidecar-injector-{installed}"),
            Ref(VALIDATING_WEBHOOK, f"istio-validator-{installed}-istio-system"),
        ):
            live = cluster.get(each)
            assert live is not None, str(each)
            assert live["metadata"]["labels"]["install.operator.istio.io/owning-resource"] == OWNER
        assert cluster.get(system(SERVICE, GATEWAY_NAME)) is not None
        assert cluster.get(system(DEPLOYMENT, "istiod")) is None
        assert cluster.get(system(CONFIG_MAP, "istio")) is None

    def test_it_looks_after_remotes(self, cluster: Cluster, installed: str) -> None:
        istiod = cluster.get(system(DEPLOYMENT, f"istiod-{installed}"))
        assert istiod is not None
        (discovery,) = istiod["spec"]["template"]["spec"]["containers"]
        assert {"name": "EXTERNAL_ISTIOD", "value": "true"} in discovery["env"]

    def test_the_first_one_is_the_default_too(self, cluster: Cluster, installed: str) -> None:
        for kind, name in (
            (MUTATING_WEBHOOK, "istio-revision-tag-default"),
            (VALIDATING_WEBHOOK, "istiod-default-validator"),
        ):
            live = cluster.get(Ref(kind, name))
            assert live is not None, name
            assert live["metadata"]["labels"]["istio.io/rev"] == installed

    def test_pods_are_injected_by_it(self, cluster: Cluster, installed: str, hub: str, istioctl: Istioctl) -> None:
        name = "meshwizard-contract-revision"
        labels = {"istio.io/rev": installed}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        try:
            soon(lambda: cluster.get(Ref(SERVICE_ACCOUNT, "default", name)), "the namespace's service account")
            selected = {"app": "injected"}
            container = {
                "name": "one", "image": f"{hub}/proxyv2:{istioctl.version()}", "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "infinity"],
            }  # fmt: skip
            cluster.apply(
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {"name": "injected", "namespace": name},
                    "spec": {
                        "selector": {"matchLabels": selected},
                        "template": {"metadata": {"labels": selected}, "spec": {"containers": [container]}},
                    },
                }
            )
            (pod,) = soon(lambda: cluster.objects(POD, name, "app=injected"), "the pod")
            spec = pod["spec"]
            proxies = [each["name"] for each in [*(spec.get("initContainers") or []), *spec["containers"]]]
            assert "istio-proxy" in proxies
            assert f'"revision":"{installed}"' in pod["metadata"]["annotations"]["sidecar.istio.io/status"].replace(
                " ", ""
            )
        finally:
            cluster.delete(Ref(NAMESPACE, name))
