"""Containers that run, or ran: crashes, probes, exceptions, and what but the server keeps a pod unready."""
