"""Alerts that were sent: stream `alert/ACCOUNT/ID`, the account `-` where it concerns the log."""

from eventstore.events import QUEUED, Event, event


@event(categories=("alert",), durability=QUEUED)
class AlertSent(Event, frozen=True, kw_only=True):
    """An alert was sent, or given up, after `attempts`. `what` says what happened, `to` names the setting's target.

    `subject` names what it is about in the account, such as a rule; `ended`: it said that this is over. `reported` is
    the log position of the record that it reported, if it reported one. Without `delivered`, `why` says what failed.
    """

    what: str
    to: str
    attempts: int
    delivered: bool
    why: str = ""
    subject: str = ""
    ended: bool = False
    reported: int | None = None
