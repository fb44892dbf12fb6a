"""How istiod learns of other clusters: remote secrets, and what it made of them."""
