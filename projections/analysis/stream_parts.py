"""The parts of stream names as columns, cut out of one buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore.streams import ESCAPED_SLASH
from projections.analysis.libraries import arrow, compute, library

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLASH = ord("/")
_PIECES = 5
"""Of each name: category, slash, account, slash, entity."""


def parts_of(streams: Sequence[str] | Any) -> dict[str, Any]:  # noqa: ANN401 - or an array of Arrow's
    """Return stream names and their parts as arrays of Arrow's; an entity is as it was given, with its slashes.

    The names are those of streams: three parts each. What a damaged one lacks is null.
    """
    pa, pc, np = arrow(), compute(), library("numpy")
    texts = streams if isinstance(streams, pa.Array) else pa.array(streams, pa.string())
    _, offsets, text = texts.buffers()
    starts = np.frombuffer(offsets, dtype=np.int32)[: len(texts) + 1]
    slashes = np.flatnonzero(np.frombuffer(text, dtype=np.uint8)[: starts[-1]] == _SLASH).astype(np.int32)
    if len(slashes) == 2 * len(texts) and _is_within(slashes.reshape(-1, 2), starts):
        category, account, entity = _cut(texts, starts, slashes.reshape(-1, 2))
    else:
        parts = [(*name.split("/", 2), None, None)[:3] for name in texts.to_pylist()]
        category, account, entity = (pa.array(part, pa.string()) for part in zip(*parts, strict=True))
    return {
        "stream": texts,
        "category": category,
        "account": account,
        "entity": pc.replace_substring(entity, ESCAPED_SLASH, "/"),
    }


def _is_within(slashes: Any, starts: Any) -> bool:  # noqa: ANN401 - arrays of numpy's
    return bool((slashes[:, 0] >= starts[:-1]).all() and (slashes[:, 1] < starts[1:]).all())


def _cut(texts: Any, starts: Any, slashes: Any) -> Any:  # noqa: ANN401 - arrays of numpy's and Arrow's
    """Return the three parts of names that have two slashes each."""
    pa, np = arrow(), library("numpy")
    cuts = np.empty((len(texts), _PIECES), dtype=np.int32)
    cuts[:, 0], cuts[:, 1::2], cuts[:, 2::2] = starts[:-1], slashes, slashes + 1
    ends = np.append(cuts.reshape(-1), starts[-1:])
    # The names' own text with more ends: nothing is copied before the parts are taken.
    pieces = pa.StringArray.from_buffers(_PIECES * len(texts), pa.py_buffer(ends), texts.buffers()[2])
    return [pieces.take(pa.array(np.arange(at, len(pieces), _PIECES, dtype=np.int32))) for at in (0, 2, 4)]
