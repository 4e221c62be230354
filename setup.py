"""What pyproject.toml can't say: the one compiled module, which is left out where there is no C compiler."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "tokentrail.events._scan",
            sources=["src/tokentrail/events/native/scan.c"],
            depends=[
                f"src/tokentrail/events/native/{name}.h"
                for name in ("json", "labels", "record", "sift", "values")
            ],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            optional=True,
        )
    ]
)
