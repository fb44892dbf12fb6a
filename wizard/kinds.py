"""The kinds of step that others than the step itself speak of: steps that need them, checks whose findings they mend, and front
ends that show them. A kind of which nobody else speaks is declared with its step.
"""

from __future__ import annotations

from wizard.engine.step import Kind

PREFLIGHT = Kind("preflight")
NAMESPACE = Kind("namespace")
PULL_SECRET = Kind("pull-secret")
ROOT_CERTIFICATE = Kind("root-ca")
INTERMEDIATE = Kind("cacerts")
INSTALL = Kind("install")
ISTIOD = Kind("istiod")
MESH_NETWORKS = Kind("mesh-networks")
EXPOSE_SERVICES = Kind("expose-services")
EXPOSE_ISTIOD = Kind("expose-istiod")
GATEWAY_ADDRESS = Kind("gateway-address")
ROUTE = Kind("route")  # one for each other cluster
REMOTE_SECRET = Kind("remote-secret")  # one for each other cluster
REACH_API = Kind("reach-api")
REACH_DISCOVERY = Kind("reach-discovery")
REACH_PEERS = Kind("reach-peers")
REACH_GATEWAYS = Kind("reach-gateways")
SAMPLE = Kind("sample")
VERIFY = Kind("verify")
