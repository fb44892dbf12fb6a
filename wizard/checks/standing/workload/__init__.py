"""The applications, and the policies that others put beside them."""
