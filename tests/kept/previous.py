"""Stands for a released version: this code, without the types of events that have been added since."""

from __future__ import annotations

import sys

from eventstore import released
from eventstore.events import registry


def forget(version: str) -> None:
    """Make this process read no type that a released version did not know; there is no way back.

    Their classes stay, because views name them; a record of such a type is an UnknownEvent.
    """
    for each in released.additions(version):
        if each == released.Addition(each.type):
            del registry._by_name[each.type]


if __name__ == "__main__":
    from gateways.cli.entry import main

    forget(sys.argv.pop(1))
    main()
