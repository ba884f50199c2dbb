"""One way to print a fraction as a percent."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """Up to three digits: 17.9 %, 0.0138 %, 2.7e-09 %, 10 %; nearly all is never shown as 100 %."""
    value = 100 * fraction
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e} %"
    if 99.95 <= value < 100:
        return f"{min(value, 99.99):.2f} %"
    return f"{value:.3g} %"
