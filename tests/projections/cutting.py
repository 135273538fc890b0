"""A process that appends, folds and writes cuts, to be killed or run next to another.

python -m tests.projections.cutting DIRECTORY_OR_URL NAME STEPS CHANCE
"""

import random
import sys
from typing import Any

import eventstore
import projections
from eventstore import EventStore
from projections.builtin import builtin_views
from projections.fold import Fold
from tests.projections.examples import bought, filled, submitted
from tests.projections.histories import states


def main(directory: str, name: str, steps: int, seed: int) -> None:
    """Append orders and trades of a few accounts, and sometimes write a cut; print each step once it is done."""
    chance = random.Random(seed)
    with eventstore.open(directory) as store:
        book = projections.open(store)
        start = store.head()
        for number in range(start, start + steps):
            one_step(book, f"{name}{number}", chance)
            if chance.randint(0, 4) == 0:
                book.snapshot()
            sys.stdout.write(f"{book.position}\n")
            sys.stdout.flush()


def one_step(book: projections.Book, name: str, chance: random.Random) -> None:
    # Many accounts, so that most of a cut's states were written by cuts before it.
    account = f"A{chance.randint(0, 20)}"
    if chance.randint(0, 1):
        book.append(f"order/{account}/{name}", [submitted(3), filled(name, 2)])
    else:
        book.append(f"trade/{account}/{name}", bought(name, chance.randint(1, 9)))


def digest(book: projections.Book) -> dict[tuple[str, str], Any]:
    """Return all states of a book as a snapshot would give them back."""
    return states(book._fold)


def from_zero(store: EventStore, position: int | None = None) -> dict[tuple[str, str], Any]:
    """Return all states of the log's first records, folded without any snapshot."""
    book = projections.Book(store, Fold(), live=False)
    book.load(builtin_views(), store.head() if position is None else position)
    return digest(book)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
