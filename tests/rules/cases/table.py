"""The table of cases: every one of the rule language, from each of its rooms; a new case is a row of its room.

``test_words`` runs them; ``test_every_word`` takes the words away, one at a time, and wants a case to fail.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.rules.cases import alarms, circumstances, conditions, explained, places, values
from tests.rules.cases.case import Case

ROOMS = (conditions, alarms, explained, places, circumstances, values)
CASES: Mapping[str, Case] = {name: case for room in ROOMS for name, case in room.CASES.items()}
