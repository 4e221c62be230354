"""
What all tests share: how much Hypothesis tries.

`HYPOTHESIS_PROFILE=long` tries harder; tests that name a number of examples of their own keep it.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]

settings.register_profile("default", max_examples=10, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("long", max_examples=600, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
