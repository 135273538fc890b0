"""How a book was opened, and what was in force then."""

import msgspec

from eventstore.readable import Readable
from projections.views.enforcement import Enforcement
from projections.views.lockouts.lockout import Lockout


class Recovery(Readable, msgspec.Struct, frozen=True):
    """The cut that a book started from (0: none), how many records it folded, and what was in force at that time."""

    cut: int
    tail: int
    seconds: float
    lockouts: tuple[Lockout, ...] = ()
    pending: tuple[Enforcement, ...] = ()
