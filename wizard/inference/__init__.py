"""The mesh that stands in some clusters, whoever made it, read from what stands there alone."""
