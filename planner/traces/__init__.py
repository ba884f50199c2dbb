"""Recorded traffic: formats of files, what they hold, and playing a part of it."""
