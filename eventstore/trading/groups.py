"""Accounts that are limited together: stream `group/-/NAME`; their limits are in `limits/@NAME/RULE_ID`."""

from eventstore.events import Event, event
from eventstore.streams import NAME

MEMBERS_MAX = 1_000


def _problem_of(group: "GroupDefined") -> str | None:
    """Return what is wrong with the accounts."""
    for account in group.accounts:
        if account.startswith("@") or account == "-" or not NAME.fullmatch(account):
            return f"{account!r:.80} cannot be an account: name each member as in ACC1"
    if len(group.accounts) > MEMBERS_MAX:
        return f"{len(group.accounts):,} accounts, and a group has at most {MEMBERS_MAX:,}: define several groups"
    return None


@event(categories=("group",), requires_actor=True, problem_of=_problem_of)
class GroupDefined(Event, frozen=True, kw_only=True):
    """Accounts form a group, in place of those that it had; none dissolve it. The actor is required.

    An account may be in several groups. One that leaves a group keeps the lockouts that the group led to.
    """

    accounts: tuple[str, ...]
