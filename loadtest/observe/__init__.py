"""The cluster behind an endpoint, read from the Kubernetes API: what was wanted, started, ready, and why not.

The only package that knows the Kubernetes client. Nothing here writes to a cluster, except `scaling` for the lab.
"""
