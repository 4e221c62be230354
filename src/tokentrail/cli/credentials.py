"""
`tokentrail credentials`: the inventory.
"""

from __future__ import annotations

from typing import get_args

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.lineage.model import Credential, Kind, State
from tokentrail.present.text.inventory_text import write_inventory


@click.command(
    "credentials",
    epilog=example("tokentrail credentials --state active --kind session_token"),
)
@click.option(
    "--state", type=click.Choice(get_args(State), case_sensitive=False), help="Only those in this state."
)
@click.option(
    "--kind",
    type=click.Choice(get_args(Kind), case_sensitive=False),
    metavar="KIND",
    help="Only those of this kind.",
)
@click.option("--principal", metavar="ARN", help="Only those that speak for this user, role or session.")
@click.option("--account", metavar="ID", help="Only those of this account.")
@common
def command(
    options: CommonOptions, state: State | None, kind: Kind | None, principal: str | None, account: str | None
) -> None:
    """
    List every credential that the evidence shows, issued or used, with its state and where it came from.

    KIND is one of long_term_key, api_key, session_token, federation_token, assumed_role, assumed_role_saml,
    assumed_role_web_identity, service_role, root_session, console_session, identity_center, oauth_login,
    scoped, delegated, forwarded, unknown.
    """
    with output.open_case(options) as case:
        found = case.credentials(
            as_of=options.as_of, state=state, kind=kind, principal=principal, account=account
        )
        output.show_rows(
            options, Credential, output.announced("Looking through the case", found), write_inventory
        )
        output.enforce_strict(options, case)
