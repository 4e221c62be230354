"""Opening of the derived database: what linking wrote (`link`), and the tables of segments (`segment_tables`)."""

from __future__ import annotations

from pathlib import Path

from tokentrail.lineage import link, segment_tables
from tokentrail.store.interface import Engine
from tokentrail.store.tidying import DATABASE


def reopen(engine: Engine, folder: Path, segments_of: Path | None = None) -> None:
    """
    Make the tables of a derived database known to an engine that knows the evidence, and `facts`.

    Args:
        engine: The engine.
        folder: The derived folder.
        segments_of: The derived folder that has the tables of segments, if that is another one.

    Raises:
        CaseError: a table is missing or damaged, or is another one.
    """
    if segments_of is None:
        engine.open_database(folder / DATABASE, {**link.COLUMNS, **segment_tables.COLUMNS})
    else:
        engine.open_database(folder / DATABASE, link.COLUMNS)
        engine.open_database(segments_of / DATABASE, segment_tables.COLUMNS, beside=True)
    link.register_facts(engine)
