"""The rules to try: a published program by its name, or a seed file of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from eventstore import InvalidEvent
from eventstore.trading import AccountOpened
from projections import seeds
from projections.risk import programs
from projections.views.sessions import EVERYONE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from projections.seeds import Seeds
    from projections.sessions import Calendar

_SUFFIX = ".toml"


class Rules:
    """What each account of a file begins with: balance, settings, limits and calendar.

    `program` is a name of `projections.risk.programs`, or the path of a seed file. Constructing it raises InvalidEvent
    for an unknown program or a file that cannot be read.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        self.is_own = program.endswith(_SUFFIX) or os.sep in program
        self.path = Path(program) if self.is_own else programs.path(program)
        # Read at once, so that what is wrong with it is said before a large file is read.
        self.published = seeds.load(self.path).program

    def seeds_of(self, accounts: Sequence[str], balance: Decimal | None, currencies: Sequence[str]) -> Seeds:
        """Return the seeds of some accounts alone; raise InvalidEvent if a balance, a limit or a calendar is missing.

        `balance` is for a file without one, in the only currency of the contracts that were traded.
        """
        found = seeds.load(self.path, *accounts)
        opened = {account: self._opened(found, account, balance, currencies) for account in accounts}
        lacking = next((account for account in accounts if not found.limits.get(account)), None)
        if lacking is not None:
            msg = f"{self.program} sets no limits for {lacking}: there is nothing to try"
            raise InvalidEvent(msg)
        return replace(
            found,
            calendars={account: self._calendar(found, account) for account in accounts},
            accounts=opened,
            limits={account: found.limits[account] for account in accounts},
            settings={account: found.settings[account] for account in accounts if account in found.settings},
        )

    def _opened(self, found: Seeds, account: str, balance: Decimal | None, currencies: Sequence[str]) -> AccountOpened:
        known = found.accounts.get(account)
        if known is not None:
            if balance not in {None, known.starting_balance}:
                msg = (
                    f"{self.program} is for a balance of {known.starting_balance} {known.currency}, not {balance}: its "
                    "floors are sums. Leave --balance out, or copy its file, change the figures and try the copy: "
                    f"{self.path}"
                )
                raise InvalidEvent(msg)
            return known
        if balance is None:
            msg = f"{self.program} has no starting_balance for {account}: give --balance AMOUNT"
            raise InvalidEvent(msg)
        if len(currencies) != 1:
            msg = (
                f"the contracts of the file are in {', '.join(currencies)}: write starting_balance and currency in "
                f"{self.program}, in place of --balance"
            )
            raise InvalidEvent(msg)
        return AccountOpened(starting_balance=balance, currency=currencies[0])

    def _calendar(self, found: Seeds, account: str) -> Calendar:
        calendar = found.calendars.get(account) or found.calendars.get(EVERYONE)
        if calendar is None:
            msg = f"{self.program} has no calendar for {account}: its trading days are unknown. Add [defaults.calendar]"
            raise InvalidEvent(msg)
        return calendar
