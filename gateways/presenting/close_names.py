"""Names close to one that is not known, as part of a sentence."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 8


def close_to(name: str, names: Iterable[str]) -> str:
    """Return the names close to one, as part of a sentence; else some of the known ones."""
    folded = {known.lower(): known for known in sorted(names)}
    if not folded:
        return "there are none yet"
    asked = name.lower()
    found = difflib.get_close_matches(asked, list(folded), n=4, cutoff=0.5)
    if found:
        closest = sorted(found, key=lambda match: (-difflib.SequenceMatcher(None, match, asked).ratio(), match))
        return f"similar names are {', '.join(folded[match] for match in closest)}"
    shown = list(folded.values())[:_SHOWN]
    more = f" and {len(folded) - _SHOWN:,} more" if len(folded) > _SHOWN else ""
    return f"the known names are {', '.join(shown)}{more}"
