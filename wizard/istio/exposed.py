"""What a control plane opens on the east-west gateways that it configures: the names of those objects, and istiod's ports."""

from __future__ import annotations

SERVICES = "cross-network-gateway"  # the Gateway that passes on to the mesh's Services; Istio's samples call it so, too
ISTIOD = "istiod-gateway"  # the Gateway that opens istiod's ports to remotes
ISTIOD_ROUTES = "istiod-vs"  # the VirtualService that leads from there to istiod
# What a remote's proxies and API server ask for → the port of Service istiod that answers it.
ISTIOD_PORTS = {15012: 15012, 15017: 443}
