"""Host names where an older Istio takes only IP addresses."""

from __future__ import annotations

from wizard.errors import BadInput, Mistake
from wizard.istio.versions import host_names_of_gateways, host_names_of_istiod
from wizard.mesh.addresses import is_ip
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.text import one_line


def refuse_host_names(mesh: Mesh) -> None:
    """BadInput where an old Istio is to reach something by a host name that it takes for an IP address."""
    version = str(mesh.istio.version)
    mistakes = []
    for index, cluster in enumerate(mesh.clusters):
        for field, value, allowed in (
            ("gateway.address", cluster.gateway.address, host_names_of_gateways(version)),
            ("discoveryAddress", cluster.discovery, host_names_of_istiod(version)),
        ):
            if value and not allowed and not is_ip(value):
                text = msg(
                    "Istio {version} takes no host name here, and {name} is one; give an IP address",
                    version=version,
                    name=one_line(value),
                )
                mistakes.append(Mistake(f"clusters[{index}].{field}", text))
    if mistakes:
        raise BadInput(
            msg("host names that this Istio cannot use; nothing was touched"), msg("Correct them."), tuple(mistakes)
        )
