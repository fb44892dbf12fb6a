"""A pretend world for the demo and the tests: clusters, istioctl and traffic in memory, honest about what is broken."""
