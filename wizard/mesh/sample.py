"""The names of the sample that proves a mesh: the same in every cluster."""

from __future__ import annotations

SERVICE = "helloworld"
CLIENT = "curl"  # its Deployment, the label `app` of its Pods, and the container in them
OLDER_CLIENT = "sleep"  # the same in Istio's own samples up to 1.23, for meshes that others made
PORT = 5000
