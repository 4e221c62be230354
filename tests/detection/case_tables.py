"""The cases of all rules, by rule: whoever imports these tables has every module's cases in them."""

from __future__ import annotations

import attack_cases
import detection_cases
from rule_cases import FIRES, HABITS, SEVERITIES, SPARES

MODULES = (attack_cases, detection_cases)

__all__ = ["FIRES", "HABITS", "MODULES", "SEVERITIES", "SPARES"]
