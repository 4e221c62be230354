"""
What all tests share: how much Hypothesis tries, who runs which test, which are quick, and that no module is compiled
again and again.

Hypothesis draws the same examples each time, so that what passes here passes in CI, and a failure is the change's own;
an edited test draws others. `HYPOTHESIS_PROFILE=long` tries harder and draws anew each time: what it finds becomes an
`@example`. Tests that name a number of examples of their own keep it.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tokentrail.store.workers import environment

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]

settings.register_profile(
    "default", max_examples=2, deadline=None, suppress_health_check=_SLOW, derandomize=True
)
settings.register_profile(
    "pure", max_examples=50, deadline=None, suppress_health_check=_SLOW, derandomize=True
)
settings.register_profile("long", max_examples=600, deadline=None, suppress_health_check=_SLOW)
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(_PROFILE)

if _PROFILE != "long":
    # Hypothesis also draws the constants of our modules that happen to be loaded. Which these are depends on what xdist
    # let the same process run before, so that the same test would draw other examples in each run. No setting turns it off.
    assert callable(providers.is_local_module_file)
    providers.is_local_module_file = lambda path: False

PURE = (
    "aws",
    "events",
    "oracle",
    "policy",
    "present",
    "testing",
    "containment/test_containment_documents.py",
)
"""Folders and files whose examples need no case, so that fifty take a moment. A case takes half a second: tests that make
one for each example try two, and the laws of lineage ten that hold five worlds each (`strategies.FIFTY_WORLDS`)."""

if sys.dont_write_bytecode:
    # As images of containers like to have it, so that nothing lies beside the sources. But tests start this program a
    # hundred times over, and each start would compile all that it loads, which takes longer than all else that it does.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

for _name, _value in environment().items():
    # What processes of ours are started with counts for those that xdist starts: DuckDB plans in less time so.
    os.environ.setdefault(_name, _value)


QUICK = (
    "aws", "events", "oracle", "policy", "present", "testing", "laws/test_laws_calls.py",
    "lineage/test_lineage_link.py", "lineage/test_lineage_inventory.py", "lineage/test_lineage_issuers.py",
    "lineage/test_lineage_taint.py", "lineage/test_lineage_edits.py", "store/test_store_duck.py",
    "store/test_store_derived_database.py", "sources/test_sources_alerts.py",
    "detection/test_detection_real.py", "containment/test_planfile.py", "containment/test_journal.py",
    "containment/test_containment_partitions.py", "prevention/test_prevention_fates.py",
    "cli/test_cli_help.py", "cli/test_cli_identify.py", "watch/test_watch_ledger.py",
)  # fmt: skip
"""Folders and files of the fast tier: the pure layers in full, and of every other layer what answers in a moment."""


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Have the tests of a module try as many examples as befits it: they take the profile that it is imported under."""
    if isinstance(collector, pytest.Module) and _PROFILE == "default":
        settings.load_profile("pure" if _among(PURE, collector.path) else "default")


def _among(listed: tuple[str, ...], path: Path) -> bool:
    return not {Path(__file__).parent / one for one in listed}.isdisjoint((path, *path.parents))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast tier, which `just quick` runs."""
    for item in items:
        if _among(QUICK, item.path):
            item.add_marker("quick")


def pytest_collection_finish() -> None:
    """Leave out of every later search for cycles what was loaded: it stays, and is most of all that there is."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """
    Give each process its share of the tests in one piece; who is done first takes from the others.

    So a case, a browser or a server that the tests of one module or room share is made in one process, not in all.
    """
    if config.getoption("dist") != "load":  # somebody asked for another way
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)
