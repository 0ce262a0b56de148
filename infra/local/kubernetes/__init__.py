"""Helm, and what Kubernetes' objects are checked with, built and installed without containers."""
