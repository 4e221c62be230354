"""What pyproject.toml can't say: the compiled modules, which are left out where there is no C compiler."""

from setuptools import Extension, setup

_NATIVE = "src/tokentrail/events/native"
_HEADERS = {
    "scan": ("json", "known", "labels", "pluck", "record", "sift", "values"),
    "tell": ("actor", "compose", "elastic", "json", "labels", "ocsf", "told", "unmapped", "values"),
}

setup(
    ext_modules=[
        Extension(
            f"tokentrail.events._{name}",
            sources=[f"{_NATIVE}/{name}.c"],
            depends=[f"{_NATIVE}/{header}.h" for header in headers],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            optional=True,
        )
        for name, headers in _HEADERS.items()
    ]
)
