"""The enforcement view: what rules asked the trading process to do, who does it, its answers, what is still pending.

`request` is the value, `state` what is kept of an account, `transitions` what each event makes of it, `view` the fold,
`queries` the lookups.
"""

from projections.views.enforcement.queries import Enforcements
from projections.views.enforcement.request import Enforcement, EnforcementAnomaly, EnforcementAnomalyKind, oldest_first
from projections.views.enforcement.state import EnforcementState
from projections.views.enforcement.transitions import TooManyPending
from projections.views.enforcement.view import EnforcementView

__all__ = [
    "Enforcement",
    "EnforcementAnomaly",
    "EnforcementAnomalyKind",
    "EnforcementState",
    "EnforcementView",
    "Enforcements",
    "TooManyPending",
    "oldest_first",
]
