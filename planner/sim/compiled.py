"""The one decorator for compiled functions, with a cache that cannot go stale.

numba's file cache watches only the file of the function it compiles, not the files of the functions that one calls.
So the cache directory is named by a hash of all sources that end up in compiled code: any edit starts a fresh one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent.parent
_NEVER_COMPILED = {"engine.py", "replications.py"}


def _cache_directory() -> str:
    compiled_modules = {path for path in _PACKAGE.glob("sim/*.py") if path.name not in _NEVER_COMPILED}
    sources = sorted([*compiled_modules, *_PACKAGE.glob("scaling/*.py"), _PACKAGE / "model.py"])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    name = f"surgeproof-{numba.__version__}-{digest}"
    beside = _PACKAGE / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        writable = os.access(beside, os.W_OK)
    except OSError:
        writable = False
    return str((beside if writable else Path(tempfile.gettempdir())) / name)


CACHE_DIRECTORY = _cache_directory()
vars(config)["CACHE_DIR"] = CACHE_DIRECTORY


def is_cached() -> bool:
    """Whether the kernel has been compiled before by this installed version."""
    return any(Path(CACHE_DIRECTORY).rglob("*.nbc"))


def compiled(function: F) -> F:
    """Compile a function; `.py_func` is the plain one. Division by zero follows IEEE rules, the GIL is released."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile a function of the hot path into its callers: passing the flat state costs more than the work it does."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function))


def pointer(array: Any) -> Any:
    """An array's memory without its reference count, in compiled code; the array itself in plain Python.

    Compiled code counts references at every call that passes an array: three times the cost of the event loop itself.
    The caller must keep the array alive. Indices are neither checked nor counted from the end.
    """
    return array


@overload(pointer)
def _pointer_overload(array):
    def implementation(array):
        return _pointer_of(array)

    return implementation


@intrinsic
def _pointer_of(typing_context: Any, array: Any) -> Any:
    def generate(context, builder, signature, arguments):
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        return struct.data

    return types.CPointer(array.dtype)(array), generate
