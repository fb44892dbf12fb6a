"""meshwizard: from a few kubeconfig contexts to a verified Istio multicluster mesh."""

__version__ = "0.1.0"
