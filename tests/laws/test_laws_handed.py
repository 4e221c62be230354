"""The law of what is passed over: where no source is looked for, none has handed anything out."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from test_laws_increments import SEEDS, fed

from forged import forged
from strategies import worlds
from tokentrail.case import source_issued
from tokentrail.testing import World


@given(worlds(rare=True, edits=True, largest=12), SEEDS)
def test_nothing_was_handed_out_where_nothing_was_looked_for(world: World, seed: int) -> None:
    """Most traces have no host, portal or sign-in behind them, and gave nobody a role: those are spared the search."""
    records = forged(world.records(), seed, 0.1) if seed % 2 else world.records()
    with fed(records) as case:
        for one in case.credentials():
            found = case.trace([one.id], up=False).handed
            with mock.patch.object(source_issued, "has_source", return_value=True):
                assert found == case.trace([one.id], up=False).handed
