"""
Settings of a responder's own in a file `tokentrail.toml`: what would else stand on every command line.

The file lies in the working directory, or where `--config` or `TOKENTRAIL_CONFIG` says. What the command line or an
environment variable says comes first. Whatever a verb takes from the file is told on stderr, with the file's name: one
that came along in a folder of evidence changes no answer and no account unseen.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tokentrail.errors import CaseError, UsageError
from tokentrail.present.safe import safe
from tokentrail.store.place import on_s3

FILE = "tokentrail.toml"
DEFAULT_CASE = "tokentrail-case"
VARIABLE = "TOKENTRAIL_CONFIG"
_LARGEST = 1 << 20
"""Bytes of a file of settings that are read."""
_FROM_FILE = "tokentrail.settings"
"""Where a run's context keeps the file that settings came from."""
_CHANGING = ("apply", "verify", "undo")
"""Verbs that reach the accounts of a plan."""
_APART = frozenset({"demo"})
"""Verbs that touch no case of the responder's."""

Settings = Mapping[str, Any]
"""Values of options, by the name of the option's parameter."""


def _place(value: Any, folder: Path) -> str:
    path = _file(value, folder)
    try:
        return value if on_s3(value) else path
    except CaseError as error:
        raise ValueError(str(error)) from error


def _file(value: Any, folder: Path) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("expected a path")
    return str(folder / value)


def _files(value: Any, folder: Path) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("expected a list of paths")
    return [_file(one, folder) for one in value]


def _networks(value: Any, _: Path) -> list[str]:
    if not isinstance(value, list):
        raise ValueError('expected a list of addresses and networks, such as ["192.0.2.0/24"]')
    for one in value:
        if not isinstance(one, str):
            raise ValueError("expected addresses and networks as texts")
        ipaddress.ip_network(one, strict=False)
    return value


def _profiles(value: Any, _: Path) -> list[str]:
    if not isinstance(value, dict):
        raise ValueError('expected a table of accounts, such as { 111122223333 = "incident-response" }')
    for account, profile in value.items():
        if not re.fullmatch(r"[0-9]{12}", account) or not isinstance(profile, str) or not profile:
            raise ValueError('expected an account id and the name of a profile, 111122223333 = "NAME"')
    return [f"{account}={profile}" for account, profile in value.items()]


_MEMBERS: Mapping[str, tuple[str, Callable[[Any, Path], Any]]] = {
    "case": ("case", _place),
    "profile-for": ("profiles", _profiles),
    "trusted-ip": ("trusted_ips", _networks),
    "suppress": ("suppress", _file),
    "geoip": ("geoip", _files),
    "aws-ranges": ("aws_ranges", _file),
}
"""Each setting by the name of its option: the option's parameter, and what checks and reads a value."""


def read_settings(path: Path) -> Settings:
    """
    Read a file of settings; paths in it are relative to its folder.

    Raises:
        UsageError: it can't be read, has a member that is no setting, or a value that is none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UsageError(f"{path}: larger than a file of settings can be.")
        found = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: no TOML: {error}.") from error
    return dict(_setting(name, value, path) for name, value in found.items())


def _setting(name: str, value: Any, path: Path) -> tuple[str, Any]:
    if name not in _MEMBERS:
        near = get_close_matches(name, _MEMBERS, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"{path}: {name[:80]!r} is no setting; they are {', '.join(_MEMBERS)}.{meant}")
    parameter, checked = _MEMBERS[name]
    try:
        return parameter, checked(value, path.parent)
    except ValueError as error:
        raise UsageError(f"{path}: {name}: {error}.") from error


def settings_file(given: str | None) -> Path | None:
    """The file of settings that counts: the one that was named, else that of the working directory, if any."""
    named = os.environ.get(VARIABLE) if given is None else given
    if named is not None:
        return Path(named) if named else None
    return Path(FILE) if Path(FILE).is_file() else None


def use_settings(context: click.Context, given: str | None, verbs: list[str]) -> None:
    """
    Let the options of all verbs default to the settings of a file.

    Args:
        context: The program's.
        given: The file that was named; an empty name means none at all.
        verbs: The names of the verbs.
    """
    path = settings_file(given)
    if path is None:
        return
    settings = read_settings(path)
    reaching = {"profiles": settings["profiles"]} if "profiles" in settings else {}
    others = {name: value for name, value in settings.items() if name != "profiles"}
    context.default_map = {
        verb: others | (reaching if verb in _CHANGING else {}) for verb in verbs if verb not in _APART
    }
    context.meta[_FROM_FILE] = path.absolute()


def tell_settings() -> None:
    """Say on stderr what the verb that runs takes from a file of settings, and from which; `--quiet` or not."""
    context = click.get_current_context(silent=True)
    if context is None or (path := context.meta.get(_FROM_FILE)) is None:
        return
    used = [
        f"{name} {_shown(context.params.get(parameter))}"
        for name, (parameter, _) in _MEMBERS.items()
        if context.get_parameter_source(parameter) is ParameterSource.DEFAULT_MAP
    ]
    if used:
        click.echo(safe(f"Settings from {path}: {'; '.join(used)}."), err=True)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join("=".join(one) if isinstance(one, tuple) else str(one) for one in value)
    return str(value)
