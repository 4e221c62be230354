"""The law of numbers: nothing that a case answers depends on how its credentials are numbered."""

from __future__ import annotations

import random
from unittest import mock

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from test_laws_forest import everything

from evidence import held, text
from noisy_company import NoisyCompany
from strategies import worlds
from tokentrail import Case
from tokentrail.lineage import link
from tokentrail.testing import World

SEEDS = st.integers(0, 999)


def numbered_by_chance(seed: int) -> mock._patch[object]:
    """Credentials have their numbers in any order; an increment may give them so."""
    number = link.number

    def shuffled(rows: pa.Table) -> pa.Table:
        table = number(rows)
        new = [0, *random.Random(seed).sample(range(1, table.num_rows + 1), table.num_rows)]
        others = np.array(new)
        parent = table["parent"].fill_null(pa.scalar(0)).to_numpy()
        return pa.table({
            "ck": table["ck"], "n": others[table["n"].to_numpy()], "root": others[table["root"].to_numpy()],
            "parent": pa.array(others[parent], mask=parent == 0), "depth": table["depth"],
        })  # fmt: skip

    return mock.patch.object(link, "number", shuffled)


def judged(case: Case) -> tuple[str, str]:
    """The findings and the leads of a case, as JSON."""
    return text([*case.detect()]), text([*case.leads()])


@given(worlds(rare=True, edits=True), SEEDS)
def test_traces_do_not_depend_on_numbers(world: World, seed: int) -> None:
    """The inventory, traces and timelines are the same, byte for byte."""
    with held(world) as case:
        expected = everything(case), judged(case)
    with numbered_by_chance(seed), held(world) as case:
        assert (everything(case), judged(case)) == expected


def test_findings_and_leads_do_not_depend_on_numbers() -> None:
    """What is judged of a company with many principals is the same."""
    world = NoisyCompany(days=2).works()
    with held(world) as case:
        expected = judged(case)
    assert expected[1]
    with numbered_by_chance(7), held(world) as case:
        assert judged(case) == expected
