"""Logs: a line for each request."""
