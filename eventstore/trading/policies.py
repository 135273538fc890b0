"""Which policies do not run for an account: stream `policy/ACCOUNT/NAME`.

For what belongs to no account, such as contracts, the account is `-`: every account is then affected.
"""

from eventstore.events import Event, event


@event(categories=("policy",))
class PolicyStopped(Event, frozen=True, kw_only=True):
    """A policy failed, and is not evaluated for the stream's account: its limits are unjudged until it runs again."""

    policy: str
    why: str = ""


@event(categories=("policy",))
class PolicyResumed(Event, frozen=True, kw_only=True):
    """A policy that had stopped has been evaluated again, with success."""

    policy: str
    why: str = ""
