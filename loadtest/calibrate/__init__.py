"""A scenario with what a run has measured: `surgeproof calibrate`. See docs/calibration.md."""
