"""The door to Kubernetes: what the steps may ask of a cluster, and who answers."""
