"""Alerts that were sent: stream `alert/ACCOUNT/ID`, the account `-` where it concerns the log."""

from eventstore.events import QUEUED, Event, event


@event(categories=("alert",), durability=QUEUED)
class AlertSent(Event, frozen=True, kw_only=True):
    """An alert was sent, or given up, after `attempts`. `what` says what happened, `to` names the setting's target."""

    what: str
    to: str
    attempts: int
    delivered: bool
    why: str = ""
