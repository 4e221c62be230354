"""The cases of all rules, by rule: whoever imports these tables has every module's cases in them."""

from __future__ import annotations

import detection_cases
import single_act_cases
from rule_cases import FIRES, HABITS, SEVERITIES, SPARES

MODULES = (detection_cases, single_act_cases)

__all__ = ["FIRES", "HABITS", "MODULES", "SEVERITIES", "SPARES"]
