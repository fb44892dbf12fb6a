"""istiod: that it runs, injects, and serves the proxies of its clusters."""
