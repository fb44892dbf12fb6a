"""Which networks there are, and where istiod takes their gateways to be."""
