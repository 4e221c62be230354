"""What pyproject.toml can't say: the compiled module, which is left out where there is no C compiler."""

from setuptools import Extension, setup

_NATIVE = "src/tokentrail/events/native"
_FILES = ("json", "known", "labels", "pluck", "record", "values")

setup(
    ext_modules=[
        Extension(
            "tokentrail.events._scan",
            sources=[f"{_NATIVE}/{name}.c" for name in (*_FILES, "scan")],
            depends=[f"{_NATIVE}/{name}.h" for name in _FILES],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            optional=True,
        )
    ]
)
