"""
What a shell completes besides verbs and options: key ids and credential ids of a case, and rules of the catalogue.

Nothing here may fail or say anything: a shell shows what a completion prints, and a person is in the middle of a word.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

_MOST = 50
_PLAIN = re.compile(r"[A-Za-z0-9@:.+=,/_-]{1,200}")
"""Ids that a shell takes as a word: evidence may hold others, and what is completed is run."""
_BEGUN = 5
"""Letters of an id from which on it is looked for: fewer fit most of a case."""


def credentials_beginning(context: click.Context, begun: str) -> list[CompletionItem]:
    """The credentials of the case whose id begins so, each with whom it speaks for."""
    if len(begun) < _BEGUN:
        return []
    with suppress(Exception):
        from tokentrail.case import Case

        with Case.open(_case(context), create=False) as case:
            found = (
                one
                for one in case.credentials(search=begun)
                if one.id.startswith(begun) and _PLAIN.fullmatch(one.id)
            )
            return [CompletionItem(one.id, help=_spoken_for(one.principal)) for one in islice(found, _MOST)]
    return []


def rules_beginning(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """The rules of the catalogue whose id begins so."""
    with suppress(Exception):
        from tokentrail.detection.catalogue import CATALOGUE

        return [CompletionItem(one.id, help=one.title) for one in CATALOGUE if one.id.startswith(begun)]
    return []


def _case(context: click.Context) -> Path | str:
    """The case that the line names so far; else that of the variable, of the settings, or the default."""
    from tokentrail.cli.settings import DEFAULT_CASE, read_settings, settings_file

    given: Any = context.params.get("case")
    source = context.get_parameter_source("case")
    if source in (None, click.core.ParameterSource.DEFAULT):
        path = settings_file(context.find_root().params.get("settings"))
        given = read_settings(path).get("case", given) if path else given
    return given if given is not None else DEFAULT_CASE


def _spoken_for(principal: str | None) -> str:
    """A principal on one line of printable letters, as a shell shows it."""
    from tokentrail.present.safe import safe

    return safe((principal or "").rpartition(":")[2])[:80].replace("\n", " ")
