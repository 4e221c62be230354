"""A finding from its document, for what shows findings."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from tokentrail.detection.model import Finding
from tokentrail.present.document import Document


def finding(document: Document) -> Finding:
    """A finding from its document."""
    values = {one.name: document.get(one.name) for one in fields(Finding)}
    values = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
    values["time"] = datetime.fromisoformat(str(document["time"]))
    return Finding(**values)  # type: ignore[arg-type]  # the fields of a document are those of the finding
