"""How results are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokentrail.cli.options import CommonOptions
from tokentrail.cli.output import show_parts
from tokentrail.lineage.model import TracedCredential


def test_text_needs_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    """A trace of a million objects is text in seconds: making the document of it takes longer than to find it."""
    options = CommonOptions(case=Path("c"), as_of=None, format="text", strict=False, verbose=False)
    of_what_no_document_can_be_made = object()
    show_parts(
        options,
        of_what_no_document_can_be_made,
        lambda _, writer: writer.line("told"),
        "credentials",
        TracedCredential,
    )

    assert capsys.readouterr().out == "told\n"
