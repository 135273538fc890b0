"""Proofs: the Merkle tree over a log's digests, its verification, and the signed checkpoints that pin it."""

from eventstore.proofs.checkpoints import Checkpoint

__all__ = ["Checkpoint"]
