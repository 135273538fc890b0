"""Logs that continue one another after a rotation: read, numbered and appended to as one."""

from __future__ import annotations

from eventstore.chains.chain import Chain, chain_of
from eventstore.chains.following import check_not_forked, check_not_lost, complete, ended_of, followed

__all__ = ["Chain", "chain_of", "check_not_forked", "check_not_lost", "complete", "ended_of", "followed"]
