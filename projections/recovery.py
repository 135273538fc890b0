"""What a book found when it was opened."""

import msgspec

from projections.views.enforcement import Enforcement
from projections.views.lockouts.view import Lockout


class Recovery(msgspec.Struct, frozen=True):
    """How a book came to be: the cut it started from (0: none), the tail that it folded, and what holds now."""

    cut: int
    tail: int
    seconds: float
    lockouts: tuple[Lockout, ...] = ()
    pending: tuple[Enforcement, ...] = ()
