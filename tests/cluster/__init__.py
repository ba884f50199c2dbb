"""A real Kubernetes cluster on this machine, for tests: see docs/test-cluster.md."""
