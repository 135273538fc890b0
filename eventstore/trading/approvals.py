"""What a second person agreed to: stream `approval/ACCOUNT/ID`, any id."""

from eventstore.events import Event, RecordId, event


@event(categories=("approval",), requires_actor=True)
class Approved(Event, frozen=True, kw_only=True):
    """A second person agreed to what a record of the same account asks for; the actor, required, is that person.

    `record` is the id of that record. `by` repeats the person's name: an approval whose actor is another person counts
    for nothing.
    """

    record: RecordId
    by: str = ""
