"""The catalogue: every rule, in the order in which an incident unfolds."""

from __future__ import annotations

from tokentrail.detection.model import Rule
from tokentrail.detection.rules import (
    assume_root,
    beyond_its_power,
    bulk_read,
    console_from_key,
    containment_undone,
    deep_chain,
    federated_with_all,
    key_quarantined,
    lasting_access,
    logging_stopped,
    minted_again,
    minted_before_the_cut,
    new_mfa_used,
    outlived_key,
    role_juggling,
    role_probing,
    secrets_swept,
    self_assumption,
    session_token_back_door,
    source_identity_lost,
    stolen_workload,
    token_mints_tokens,
    two_networks,
    used_after_revocation,
)

CATALOGUE: tuple[Rule, ...] = (
    key_quarantined.RULE,
    two_networks.RULE,
    stolen_workload.RULE,
    federated_with_all.RULE,
    session_token_back_door.RULE,
    token_mints_tokens.RULE,
    role_probing.RULE,
    secrets_swept.RULE,
    bulk_read.RULE,
    console_from_key.RULE,
    role_juggling.RULE,
    deep_chain.RULE,
    self_assumption.RULE,
    source_identity_lost.RULE,
    beyond_its_power.RULE,
    assume_root.RULE,
    new_mfa_used.RULE,
    lasting_access.RULE,
    logging_stopped.RULE,
    minted_before_the_cut.RULE,
    outlived_key.RULE,
    used_after_revocation.RULE,
    minted_again.RULE,
    containment_undone.RULE,
)
"""Those that ask what others found stand in any place; they run last."""
