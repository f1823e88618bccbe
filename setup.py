"""Build of the compiled leaves in s3proxy/_fast.

Everything static is in pyproject.toml; this file holds what needs code: the extensions, and the
build switches that come from the environment:

    S3PROXY_DEBUG=1      bounds checks, assertions, no optimisation
    S3PROXY_SANITIZE=1   AddressSanitizer (run with libasan preloaded)
    S3PROXY_ANNOTATE=1   Cython's HTML annotation beside each source
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = bool(os.environ.get("S3PROXY_DEBUG"))
SANITIZE = bool(os.environ.get("S3PROXY_SANITIZE"))
ANNOTATE = bool(os.environ.get("S3PROXY_ANNOTATE"))

compile_args = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-fno-strict-aliasing"]
link_args = []
if SANITIZE:
    compile_args += ["-g", "-O1", "-fsanitize=address", "-fno-omit-frame-pointer"]
    link_args += ["-fsanitize=address"]

# Directives live only here: one in a source file would silently override the debug build.
directives = {
    "language_level": "3",
    "boundscheck": DEBUG or SANITIZE,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "overflowcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
}

extensions = [
    Extension(
        f"s3proxy._fast.{path.stem}",
        [str(path)],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        libraries=["dl"],
    )
    for path in sorted(Path("s3proxy/_fast").glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        compiler_directives=directives,
        annotate=ANNOTATE,
        force=True,  # a release build after a debug one must not keep the debug C
    ),
    options={"build_ext": {"force": True, "parallel": os.cpu_count() or 1}},
)
