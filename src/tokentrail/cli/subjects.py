"""Subjects as people give them: names, or alerts (`sources.alerts`), of which it is shown what they name."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.options import CommonOptions
from tokentrail.errors import UsageError
from tokentrail.formatting import instant, listed

if TYPE_CHECKING:
    from tokentrail.case.lookups import AlertSubjects
    from tokentrail.sources.alerts import Alert

_LARGEST = 64 << 20
"""Bytes of standard input that are read: no alert has as much."""
_NARROWED = (
    "The subject may have other users than the attacker, so that only what was used from the alert's addresses counts "
    "as the attacker's: {}. Give other addresses to change that."
)
_NOT_NARROWED = "To count only use from the alert's addresses as the attacker's, add {}."


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question is about, and what narrows it."""

    subjects: tuple[str, ...]
    source_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GivenSubjects:
    """Subjects as they were given; alerts have been read, and not yet looked up."""

    names: tuple[str, ...]
    alerts: tuple[Alert, ...] = field(default=())

    @property
    def followed(self) -> tuple[str, ...]:
        """Names, and the access keys of alerts: what LookupEvents is asked for."""
        return (*self.names, *(key for one in self.alerts for key in one.access_key_ids))

    @classmethod
    def read(cls, subjects: Sequence[str]) -> GivenSubjects:
        """
        Read the alerts among subjects.

        Raises:
            UsageError: one can't be read, or names nothing.
        """
        if not any(one == "-" or os.path.exists(one) for one in subjects):
            return cls(tuple(subjects))
        from tokentrail.sources.alerts import is_alert, read_alerts  # for these alone

        places = [one for one in subjects if is_alert(one)]
        alerts = [alert for one in dict.fromkeys(places) for alert in read_alerts(one, _standard_input)]
        for one in subjects:
            if one not in places and os.path.isfile(one):
                raise UsageError(
                    f"{one}: a file, but no alert, whose name ends in .json or .jsonl. `tokentrail identify "
                    f"{shlex.quote(one)}` says which credentials stand in it, and how to investigate them."
                )
        return cls(tuple(one for one in subjects if one not in places), tuple(dict.fromkeys(alerts)))

    def asked(self, case: Case, options: CommonOptions, source_ips: tuple[str, ...]) -> Asked:
        """
        Look the alerts up in a case, and say what each names.

        Args:
            case: The evidence.
            options: As of when.
            source_ips: The addresses that the question is narrowed to, if any: then an alert narrows no further.

        Raises:
            SubjectNotFound: nothing of an alert is in the evidence.
        """
        found = [case.subjects_of(one, as_of=options.as_of) for one in self.alerts]
        addresses = dict.fromkeys(ip for one in self.alerts for ip in one.addresses)
        broad = bool(found) and not self.names and all(one.source_ips for one in found)
        for alert, told in zip(self.alerts, found, strict=True):
            output.say(*_told(alert, told))
        if addresses and not source_ips:
            output.say((_NARROWED if broad else _NOT_NARROWED).format(_options(addresses)))
        subjects = dict.fromkeys((*self.names, *(name for one in found for name in one.subjects)))
        return Asked(tuple(subjects), source_ips or (tuple(addresses) if broad else ()))


_SUBJECT = re.compile(
    r"A[A-Z0-9]{15,31}(@\S+)?|arn:aws[a-z-]*:\S+|i-[0-9a-f]{8,17}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


def check_logs(logs: Sequence[str]) -> None:
    """
    Check that logs exist; of a subject that was given in their place, say how to give it.

    Raises:
        SourceError: a file or folder does not exist.
        UsageError: it is no file, and looks like a subject.
    """
    from tokentrail.sources.dispatch import check_exist  # other verbs read no logs

    for one in logs:
        if _looks_like_subject(one) and not os.path.exists(one):
            others = " ".join(shlex.quote(other) for other in logs if other != one) or "LOGS"
            raise UsageError(
                f"{one}: no file or folder, but it looks like a subject. Give it with --subject: "
                f"tokentrail investigate {others} --subject {shlex.quote(one)}"
            )
    check_exist(logs)


def _looks_like_subject(text: str) -> bool:
    if _SUBJECT.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _standard_input() -> bytes:
    return sys.stdin.buffer.read(_LARGEST)


def _told(alert: Alert, found: AlertSubjects) -> list[str]:
    seen = [one for one in (alert.first_seen, alert.last_seen) if one]
    when = f", seen from {instant(seen[0])} to {instant(seen[-1])}" if seen else ""
    said = [
        f"{alert.source} alert {alert.id} ({alert.title}){when}: the subject is {listed(found.subjects)}."
    ]
    if roles := [one for one in found.subjects if ":role/" in one and not alert.addresses]:
        said.append(
            f"All sessions of {listed(roles)} count as the attacker's, colleagues' too: give one session's id, or "
            "--source-ip, to count some of them."
        )
    if found.missing:
        said.append(f"It also names {listed(found.missing)}, of which the evidence holds no call.")
    return said


def _options(addresses: Iterable[str]) -> str:
    return " ".join(f"--source-ip {one}" for one in addresses)
