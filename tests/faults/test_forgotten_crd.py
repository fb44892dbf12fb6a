"""An API server that dies between accepting the names of a definition and serving it, and comes back."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from tests.faults.client import Object
from tests.faults.controlplane import ControlPlane, Etcd, alone
from tests.faults.keys import kubeconfig
from tests.lab.proc import wait_for
from wizard.clusters.kinds import CRD, Ref
from wizard.clusters.real import RealCluster
from wizard.objects.crds import establish

NAME = "wasmplugins.extensions.istio.io"
LONG = 3.0  # seconds, in which a server that looked at the definition would have served it many times over


def _definition() -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": NAME},
        "spec": {
            "group": "extensions.istio.io",
            "names": {"kind": "WasmPlugin", "listKind": "WasmPluginList", "plural": "wasmplugins", "singular": "wasmplugin"},
            "scope": "Namespaced",
            "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": schema}],
        },
    }  # fmt: skip


@pytest.mark.usefixtures("servers")
def test_a_definition_that_a_dead_server_left_half_way_is_served_again(tmp_path: Path) -> None:
    with alone(tmp_path) as (plane, etcd, _):
        plane.client.apply(_definition(), "rig")
        wait_for("the definition", lambda: _established(plane), timeout=60, every=0.1)
        plane.end()
        _half_way(etcd)
        plane.start()
        plane.wait()
        before = time.monotonic()
        while time.monotonic() < before + LONG:
            assert not _established(plane), "the API server does not forget it: what mends that has no purpose any more"
            time.sleep(0.2)

        config = tmp_path / "config"
        config.write_text(kubeconfig(plane.url, plane.ca))
        said: list[str] = []
        establish(RealCluster("east", config, "ours"), said.append)

        wait_for("the definition", lambda: _established(plane), timeout=30, every=0.1)
        plane.client.ask("GET", "/apis/extensions.istio.io/v1alpha1/wasmplugins")
        assert said == [f"east: the API server accepted CRD {NAME} and does not serve it; it is written again"]
        found = plane.client.get(Ref(CRD, NAME))
        assert found is not None
        assert "annotations" not in found["metadata"], "what made it look is taken back"
        establish(RealCluster("east", config, "ours"), said.append)
        assert len(said) == 1, "there is nothing to mend any more"


def _established(plane: ControlPlane) -> bool:
    found = plane.client.get(Ref(CRD, NAME)) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    return {"Established": "True"}.items() <= {each["type"]: each["status"] for each in conditions}.items()


def _half_way(etcd: Etcd) -> None:
    """What the server had written when it died, while it is down."""
    (entry,) = etcd.entries(f"/cluster1/apiextensions.k8s.io/customresourcedefinitions/{NAME}", keys_only=False).items()
    stored = json.loads(base64.b64decode(entry[1][1]))
    for each in stored["status"]["conditions"]:
        if each["type"] == "Established":
            each |= {"status": "False", "reason": "Installing", "message": "the initial names have been accepted"}
    etcd.put(base64.b64decode(entry[0]).decode(), json.dumps(stored).encode())
