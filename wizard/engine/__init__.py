"""Steps, events, and the engine that runs a plan in lanes. Knows nothing of Istio, and nothing of who is watching."""
