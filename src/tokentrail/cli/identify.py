"""
`tokentrail identify`: which credential a leaked string is.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from tokentrail.aws.leaked_strings import LeakedCredential, LeakedKind, leaked_credentials, secret_given
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.errors import UsageError
from tokentrail.formatting import counted, instant
from tokentrail.present.text.text_writer import TextWriter

_LARGEST = 64 << 20
FOUND = 1
"""The exit code where a credential is found."""
_SAID: dict[LeakedKind, str] = {
    "long_term_key": "long-term access key", "temporary_key": "access key of a temporary credential",
    "api_key": "long-term API key", "short_term_api_key": "short-term API key", "presigned_url": "presigned URL",
    "service_bearer_token": "bearer token of STS",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A credential that was found, as it is printed."""

    kind: LeakedKind
    id: str | None
    account: str | None
    user: str | None
    service: str | None
    issued_at: datetime | None
    expires_at: datetime | None
    with_secret: bool
    with_token: bool
    file: str
    line: int
    next: str | None
    """The command that investigates it."""


@click.command("identify", epilog=example("tokentrail identify leaked.env"))
@click.argument("files", nargs=-1, required=True, metavar="FILE|-...")
@click.option(
    "--text", is_flag=True,
    help="Take the arguments themselves for what leaked. Others on this machine may see it, and your shell keeps it.",
)  # fmt: skip
@common
def command(options: CommonOptions, files: tuple[str, ...], *, text: bool) -> None:
    """
    Say which AWS credential a leaked string or file holds, of which account and user, and how to investigate it.

    FILE is anything with text: a credentials file, a .env, Terraform's state, a diff, an email; - is standard input.
    A key's id, which is no secret, may stand in its place.
    Known are access key ids, keys with their secret and session token, API keys of Bedrock and of Claude Platform on
    AWS, users of service-specific credentials (NAME-at-ACCOUNT), and presigned URLs. Nothing is sent anywhere, and no
    secret is printed or kept. The exit code is 1 if a credential is found.
    """
    found = [
        _identified(one, name)
        for name, content in _contents(files, as_text=text)
        for one in leaked_credentials(content)
    ]
    output.show_rows(options, Identified, found, partial(_write, now=options.as_of or datetime.now(UTC)))
    if found:
        raise click.exceptions.Exit(FOUND)


def _contents(files: Iterable[str], *, as_text: bool) -> Iterable[tuple[str, str]]:
    for place, name in enumerate(files, 1):
        if as_text:
            yield f"argument {place}", name
        elif name == "-":
            yield "standard input", _text(sys.stdin.buffer.read(_LARGEST + 1), "standard input")
        elif _is_id(name):
            yield f"argument {place}", name
        else:
            yield name, _text(_read(name, place), name)


def _is_id(name: str) -> bool:
    """Whether an argument is no file, but a credential's id without anything secret."""
    named = [one for one in leaked_credentials(name) if name in (one.id, f"{one.user}-at-{one.account}")]
    return bool(named) and not Path(name).exists() and not secret_given(name)


def _read(name: str, place: int) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        if leaked_credentials(name):  # not shown, as it may hold a secret
            raise UsageError(
                f"argument {place} is no file, but looks like a credential. Other users of this machine can see what "
                "stands on a command line, and your shell keeps it: give a file, or - for standard input; --text takes "
                "it from here all the same."
            ) from None
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise UsageError(
            f"argument {place} can't be read: {why}. Give a file, or - for standard input."
        ) from None


def _text(content: bytes, name: str) -> str:
    if len(content) > _LARGEST:
        raise UsageError(f"{name}: larger than {_LARGEST >> 20} MB. Give the part that leaked.")
    form = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return content.decode(form, "replace")


def _identified(one: LeakedCredential, file: str) -> Identified:
    subject = one.subject
    return Identified(
        kind=one.kind, id=one.id, account=one.account, user=one.user, service=one.service, issued_at=one.issued_at,
        expires_at=one.expires_at, with_secret=one.with_secret, with_token=one.with_token, file=file, line=one.line,
        next=f"tokentrail investigate LOGS --subject {shlex.quote(subject)}" if subject else None,
    )  # fmt: skip


def _write(found: Iterable[Identified], writer: TextWriter, *, now: datetime) -> None:
    listed = list(found)
    if not listed:
        writer.wrapped(
            "No AWS credential is in it: no access key id, API key or presigned URL in a form that is known here. A "
            "secret key or a session token by itself names no key."
        )
        return
    writer.line((counted(len(listed), "credential"), "bold"))
    for one in listed:
        writer.line()
        writer.line(
            (one.id or one.user or "?", "bold"), f"  {_SAID[one.kind]}  ({one.file}, line {one.line})"
        )
        for name, value in _facts(one, now):
            writer.wrapped(f"{name:<12} {value}", first="  ", rest="               ")
        if one.next:
            writer.wrapped(one.next, first="  ", rest="    ", style="bold")


def _facts(one: Identified, now: datetime) -> Iterable[tuple[str, str]]:
    if one.account:
        decoded = ", read out of the id: sts:GetAccessKeyInfo tells it with certainty" if one.id else ""
        yield "account", f"{one.account}{decoded}"
    elif one.id:
        yield "account", "the id does not tell it; sts:GetAccessKeyInfo does"
    if one.user:
        yield "user", one.user
    if one.service:
        yield "service", one.service
    if one.issued_at:
        yield "signed", instant(one.issued_at)
    if one.expires_at:
        yield "expires", f"{instant(one.expires_at)}{' (it has)' if one.expires_at <= now else ''}"
    yield "leaked", _leaked(one)


def _leaked(one: Identified) -> str:
    if one.kind in ("presigned_url", "short_term_api_key", "api_key") and one.with_secret:
        return "all that is needed to use it"
    if not one.with_secret:
        return "the id; no secret key near it"
    if one.kind == "temporary_key" and not one.with_token:
        return "the id and what looks like its secret key; no session token, without which it does not work"
    return "the id and what looks like its secret key" + (" and session token" if one.with_token else "")
