"""Proofs: the Merkle tree over a log's digests, and the verification of everything that a read depends on."""
