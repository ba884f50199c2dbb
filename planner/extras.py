"""What is installed only on demand: `pip install 'surgeproof[EXTRA]'`, and the modules that each extra brings."""

from __future__ import annotations

from collections.abc import Mapping

EXTRAS: Mapping[str, frozenset[str]] = {
    "loadtest": frozenset({"aiohttp", "gevent", "geventhttpclient", "hdrh", "kubernetes", "locust", "urllib3"}),
    "azure": frozenset({"azure"}),
    "dask": frozenset({"dask", "distributed"}),
}
"""By extra: the modules that are imported here and that nothing but this extra installs."""


def extra_of(module: str) -> str | None:
    """The extra that brings a module, such as `kubernetes.client`; None for one that is always there, or unknown."""
    top = module.partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def how_to_install(extra: str) -> str:
    """The end of a sentence that says what is missing."""
    return f"install it with  python -m pip install 'surgeproof[{extra}]'"
