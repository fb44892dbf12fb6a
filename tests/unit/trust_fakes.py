"""Other certificates for the clusters of a mesh that stands."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from tests.unit.conftest import Setting
from wizard.certificates.authority import Root, make_intermediate, make_root
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref
from wizard.objects.cacerts import CACERTS

DISTRIBUTED = Ref(CONFIG_MAP, "istio-ca-root-cert", "istio-system")


def other_root(name: str = "other") -> Root:
    return make_root(name)


def intermediate(root: Root, cluster: str = "cluster2") -> dict[str, bytes]:
    return make_intermediate(root, cluster, "cluster.local")


def put_cacerts(made: Setting, number: int, files: Mapping[str, bytes]) -> None:
    """Somebody replaces what is in the Secret, and istiod was started anew."""
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    made.machine(number).change(CACERTS, lambda secret: secret.update(data=data))


def cacerts_of(made: Setting, number: int) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in secret_of(made, number)["data"].items()}


def secret_of(made: Setting, number: int) -> Object:
    found = made.machine(number).found(CACERTS)
    assert found is not None
    return found


def keep_root(made: Setting, number: int) -> bytes:
    """istiod there goes on with the root that it has now, whatever its Secrets will say."""
    root = cacerts_of(made, number)["root-cert.pem"]
    made.machine(number).signs_for = root
    return root
