"""Observed against predicted: `surgeproof validate`. See docs/validation.md."""
