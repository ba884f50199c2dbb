"""The one decorator for compiled functions, with a cache that cannot go stale.

numba's file cache watches only the file of the function it compiles, not the files of the functions that one calls.
So the cache directory is named by a hash of all sources that end up in compiled code: any edit starts a fresh one.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent.parent
_NEVER_COMPILED = {"engine.py", "replications.py"}


def _cache_directory() -> str:
    compiled_modules = {path for path in _PACKAGE.glob("sim/*.py") if path.name not in _NEVER_COMPILED}
    sources = sorted([*compiled_modules, *_PACKAGE.glob("scaling/*.py"), _PACKAGE / "model.py"])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    return str(_writable_folder() / f"surgeproof-{numba.__version__}-{digest}")


def _writable_folder() -> Path:
    """Beside the package, else in the user's own folder. Never where others may write: what lies there is executed."""
    for folder in (_PACKAGE / "__pycache__", Path("~/.cache/surgeproof").expanduser()):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except (OSError, RuntimeError):
            continue
        if os.access(folder, os.W_OK):
            return folder
    private = tempfile.mkdtemp(prefix="surgeproof-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private)


CACHE_DIRECTORY = _cache_directory()
vars(config)["CACHE_DIR"] = CACHE_DIRECTORY


def is_cached() -> bool:
    """Whether the kernel has been compiled before by this installed version."""
    return any(Path(CACHE_DIRECTORY).rglob("*.nbc"))


_KERNEL: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""The GIL is released, division by zero follows IEEE rules."""

_PART = _KERNEL | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Called from compiled code only: what Python would call it by takes a quarter of the compile time."""


def entry_point(function: F) -> F:
    """Compile a function that Python calls; only this one is kept in the cache, with all that it calls."""
    return cast(F, numba.njit(cache=True, **_KERNEL)(function))


def compiled(function: F) -> F:
    """Compile a function that compiled code calls; `.py_func` is the plain one."""
    return cast(F, numba.njit(**_PART)(function))


def inlined(function: F) -> F:
    """Compile a function of the hot path into its callers: passing the settings costs more than the work it does."""
    return cast(F, numba.njit(forceinline=True, **_PART)(function))


def pointer(array: Any) -> Any:
    """An array's memory without its reference count, in compiled code; the array itself in plain Python.

    Compiled code counts references at every call that passes an array: three times the cost of the event loop itself.
    The caller must keep the array alive. Indices are neither checked nor counted from the end.
    """
    return array


@overload(pointer)
def _pointer_overload(array):
    return lambda array: _pointer(array)


@intrinsic
def _pointer(typing_context: Any, array: Any) -> Any:
    def generate(context, builder, signature, arguments):
        struct = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        return struct.data

    return types.CPointer(array.dtype)(array), generate


def record(array: Any) -> Any:
    """The only element of a structured array; its fields are attributes, read where they lie, in compiled code too."""
    return array.view(np.recarray)[0]


@overload(record)
def _record_overload(array):
    return lambda array: array[0]


def lowest_bit(word: Any) -> Any:
    """The position of the lowest bit that is set; word > 0."""
    return (int(word) & -int(word)).bit_length() - 1


@overload(lowest_bit)
def _lowest_bit_overload(word):
    return lambda word: _lowest_bit(word)


@intrinsic
def _lowest_bit(typing_context: Any, word: Any) -> Any:
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.true_bit)

    return word(word), generate


def bits_of(value: Any) -> Any:
    """The bits of a float64 as an int64: in the order of the values, for values that are not negative."""
    return int(np.float64(value).view(np.int64))


@overload(bits_of)
def _bits_of_overload(value):
    return lambda value: _bits_of(value)


@intrinsic
def _bits_of(typing_context: Any, value: Any) -> Any:
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def float_of(bits: Any) -> Any:
    """The float64 with the given bits."""
    return float(np.int64(bits).view(np.float64))


@overload(float_of)
def _float_of_overload(bits):
    return lambda bits: _float_of(bits)


@intrinsic
def _float_of(typing_context: Any, bits: Any) -> Any:
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate
