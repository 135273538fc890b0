"""Prints today's vocabulary as eventstore/trading/released has it: its content for the version to be released."""

from __future__ import annotations

import json

import msgspec

from eventstore.events import registry
from eventstore.released import values_of


def vocabulary() -> str:
    """Return each type with its schema number, members, and the values of those that are enumerations."""
    lines = []
    for name in registry.registered_names():
        kind = registry._by_name[name]
        if kind.cls.__module__.startswith(f"{registry.VOCABULARY}."):
            fields = msgspec.structs.fields(kind.cls)
            values = {field.encode_name: sorted(found) for field in fields if (found := values_of(field.type))}
            members = [field.encode_name for field in fields]
            released = {"schema": kind.schema, "members": members, "values": values}
            lines.append(f"  {json.dumps(name)}: {json.dumps(released)}")
    return "{\n" + ",\n".join(lines) + "\n}"


if __name__ == "__main__":
    print(vocabulary())  # noqa: T201 - its product is what it prints
