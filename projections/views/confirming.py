"""When a broker's report that differs from the records contradicts them: after a grace, or when a second one agrees."""

from eventstore.clock import NANOSECONDS

GRACE_NS = 5 * NANOSECONDS
"""How long a report may differ without a fill before it contradicts what is recorded here."""
_UNTIMED_NS = NANOSECONDS // 1_000


def is_second(at: int, recorded_at: int, known_at: int | None) -> bool:
    """Return whether a report made and recorded at two instants is another one than the report made at `known_at`.

    A repeated delivery has the time of the first. A report that states no time of its own has the time at which it is
    recorded, and is always another one.
    """
    if known_at is None:
        return False
    return at > known_at or (at == known_at and recorded_at - at < _UNTIMED_NS)
