"""The model of an autoscaled Azure ML endpoint on AKS: pure, with no socket, no clock and no environment."""

__version__ = "0.1.0"
