"""The mesh's certificates: one root, an intermediate for each cluster, and where the root is kept."""
