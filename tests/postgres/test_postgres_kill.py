"""Servers and appenders are killed: nothing acknowledged is lost, nothing is there twice or by half."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import eventstore
from tests.postgres.appending import appending
from tests.postgres.pairs import PostgresPair
from tests.postgres.servers import PostgresServer
from tests.reliability.checking import check

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = [pytest.mark.untraced, pytest.mark.slow]

ROUNDS = 4
PROCESSES = 2
SOME = 30
"""Acknowledgements between two kills."""


def test_no_kill_of_the_server_loses_what_was_acknowledged(own_postgres: PostgresServer, tmp_path: Path) -> None:
    url = own_postgres.url(log="main")
    with appending(url, tmp_path, PROCESSES) as appenders:
        for number in range(ROUNDS):
            appenders.await_more(SOME)
            if number % 2:
                own_postgres.stop("immediate")
            else:
                own_postgres.kill()
            own_postgres.start()
        appenders.await_more(SOME)
    with eventstore.open(url) as store:
        assert len(check(store, appenders.acked())) >= (ROUNDS + 1) * SOME


def test_no_kill_of_appenders_loses_what_was_acknowledged(postgres_url: str, tmp_path: Path) -> None:
    chance = random.Random(20_260_721)
    with appending(postgres_url, tmp_path, PROCESSES) as appenders, eventstore.open(postgres_url) as store:
        for _ in range(ROUNDS):
            appenders.await_more(chance.randint(1, SOME))
            appenders.kill()
            check(store, appenders.acked())
            appenders.start(PROCESSES)


@pytest.mark.parametrize("durability", ["synced", "replicated"])
def test_no_fail_over_loses_what_was_acknowledged(durability: str, pair: PostgresPair, tmp_path: Path) -> None:
    """A SYNCED log survives as well where its primary is stopped in order: the standby then has everything."""
    url = pair.url(log="main", durability=durability)
    with appending(url, tmp_path, PROCESSES) as appenders:
        for _ in range(ROUNDS // 2):
            appenders.await_more(SOME)
            if durability == "replicated":
                pair.primary.kill()
            else:
                pair.primary.stop()
            pair.promote()
            pair.rewind()
        appenders.await_more(SOME)
    with eventstore.open(url) as store:
        assert len(check(store, appenders.acked())) >= ROUNDS // 2 * SOME
