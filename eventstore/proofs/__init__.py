"""Proofs: the Merkle tree over a log's digests, its verification, signed checkpoints, proofs of records, bundles."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from eventstore.proofs.checkpoints import Checkpoint

if TYPE_CHECKING:
    from eventstore.proofs.bundle.checking import CheckedBundle, verify_bundle
    from eventstore.proofs.bundle.writing import Bundle, stream_bundle, write_bundle
    from eventstore.proofs.proving import ConsistencyProof, InclusionProof, prove

__all__ = [
    "Bundle",
    "CheckedBundle",
    "Checkpoint",
    "ConsistencyProof",
    "InclusionProof",
    "prove",
    "stream_bundle",
    "verify_bundle",
    "write_bundle",
]

_MODULES = {
    "Bundle": "bundle.writing",
    "CheckedBundle": "bundle.checking",
    "ConsistencyProof": "proving",
    "InclusionProof": "proving",
    "prove": "proving",
    "stream_bundle": "bundle.writing",
    "verify_bundle": "bundle.checking",
    "write_bundle": "bundle.writing",
}
"""What rests on the store, which itself rests on the tree here: loaded when it is first asked for."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
