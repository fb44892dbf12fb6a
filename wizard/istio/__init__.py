"""The door to Istio: istioctl, its IstioOperator, and the facts that depend on its version."""
