"""Every change to a stored log is found and located, by opening the log or by verifying it."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

import eventstore
from eventstore import CorruptJournal
from tests.proving import cases
from tests.reliability.checking import acks_of, submitted
from tests.reliability.tampering import RECORDS, Case, make_log, outcome, tile_of

SEED = 20260721
WHOLLY_FLIPPED = sum(cases(test=[4], prove=[16]))
RAW_FLIPS = 300


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make one log for all tests of this module, and another of the same content."""
    log, other = tmp_path_factory.mktemp("sound"), tmp_path_factory.mktemp("other")
    make_log(log)
    make_log(other)
    return log, other


@pytest.fixture
def case(sound: tuple[Path, Path], tmp_path: Path) -> Case:
    with eventstore.open(sound[0]) as store:
        records = list(store.read())
    case = Case(sound[0], tmp_path / "broken", records)
    assert case.found() is None
    return case


@pytest.mark.slow
@pytest.mark.prove
@pytest.mark.untraced
def test_each_flipped_byte_of_a_payload_is_found(case: Case) -> None:
    chance = random.Random(SEED)
    wholly = set(chance.sample(range(1, RECORDS + 1), WHOLLY_FLIPPED))
    flips = 0
    with eventstore.open(case.broken) as store, case.sql() as connection:
        for record in case.records:
            position, data = record.position, record.data
            places = range(len(data)) if position in wholly else [chance.randrange(len(data))]
            for place in places:
                changed = bytearray(data)
                changed[place] ^= 1 << chance.randrange(8)
                update = "UPDATE event SET data = CAST(? AS TEXT) WHERE position = ?"
                connection.execute(update, (bytes(changed), position))
                found = store.verify(after=position - 1)
                assert not found.ok, f"byte {place} of position {position} was changed, and nothing found"
                assert found.first_bad == position
                connection.execute(update, (data, position))
                flips += 1
        assert store.verify().ok
    print(f"{flips} bytes flipped")  # noqa: T201 - a figure to publish
    assert flips > RECORDS


CHANGES = [
    "stream = substr(stream, 1, length(stream) - 1) || 'x'",
    "stream = CAST(x'ff' AS TEXT)",
    "version = version + 1000",
    "version = -version",
    "type = 'OrderAccepted'",
    "type = CAST(x'ff' AS TEXT)",
    "schema = schema + 1",
    "schema = -schema",
    "recorded_at = recorded_at + 1",
    "occurred_at = occurred_at - 1",
    "occurred_at = -occurred_at",
    "id = CAST(substr(id, 1, 15) || iif(substr(id, 16) = x'ff', x'00', x'ff') AS BLOB)",
    "id = CAST(substr(id, 1, 15) AS BLOB)",
    "id = CAST(id || x'00' AS BLOB)",
    "id = x''",
    "data = data || ' '",
    "data = data || char(0)",
    "data = substr(data, 1, length(data) - 1)",
    "data = ''",
    "actor = 'somebody'",
    "actor = ''",
    "actor = CAST(x'ff' AS TEXT)",
    "note = note || '.'",
    "note = CAST(x'ff' AS TEXT)",
    "correlation_id = NULL",
    "correlation_id = causation_id",
    "causation_id = NULL",
    "causation_id = CAST(causation_id || x'00' AS BLOB)",
    "actor = note, note = actor",
    "digest = x''",
    "digest = zeroblob(32)",
    "digest = CAST(substr(digest, 1, 31) AS BLOB)",
]


@pytest.mark.untraced
@pytest.mark.parametrize("change", CHANGES)
def test_each_changed_member_is_found(change: str, case: Case) -> None:
    for position in (1, 255, 256, 257, RECORDS - 1, RECORDS):
        case.run(f"UPDATE event SET {change} WHERE position = {position}")  # noqa: S608 - the test's own text
        assert case.found() == position
        case.restore()


def test_a_nothing_in_the_place_of_no_value_is_found(tmp_path: Path) -> None:
    """An empty id is not the same as none: a reader of the row sees the difference."""
    with eventstore.open(tmp_path / "sound") as store:
        store.append("order/ACC1/1", [submitted()] * 300)
        records = list(store.read())
    case = Case(tmp_path / "sound", tmp_path / "broken", records)
    for position in (1, 300):
        for member in ("correlation_id", "causation_id"):
            case.run(f"UPDATE event SET {member} = x'' WHERE position = {position}")  # noqa: S608 - the test's own text
            assert case.found() == position
            case.restore()


@pytest.mark.parametrize("position", [1, 256, 300, RECORDS])
def test_a_deleted_record_is_found(position: int, case: Case) -> None:
    case.run(f"DELETE FROM event WHERE position = {position}")  # noqa: S608 - the test's own text
    assert case.found() == position


@pytest.mark.parametrize("position", [1, 300, RECORDS])
def test_a_deleted_record_whose_successors_moved_up_is_found(position: int, case: Case) -> None:
    case.run(
        f"DELETE FROM event WHERE position = {position}",  # noqa: S608 - the test's own text
        f"UPDATE event SET position = -position WHERE position > {position}",  # noqa: S608 - the same
        "UPDATE event SET position = -position - 1 WHERE position < 0",
    )
    # Opening meets the missing end first.
    assert case.found() in {position, RECORDS}


INSERTED = (
    "INSERT INTO event SELECT {position}, 'order/ACC1/new', 1, type, schema, recorded_at, occurred_at, "
    "x'00112233445566778899aabbccddeeff', data, actor, note, NULL, NULL, digest, 'ACC1' FROM event WHERE position = 1"
)


@pytest.mark.parametrize("position", [RECORDS + 1, RECORDS + 7, 0, -1, -(1 << 62)])
def test_an_inserted_record_is_found(position: int, case: Case) -> None:
    """A record that no position reaches would still be read by its stream or its account."""
    case.run(INSERTED.format(position=position))
    found = case.found()
    assert found is not None, "a record was inserted, and nothing found"
    assert found in {position, RECORDS + 1} or (position < 1 and found <= 1)


@pytest.mark.parametrize("position", [1, 300, RECORDS])
def test_an_inserted_record_that_moved_the_others_is_found(position: int, case: Case) -> None:
    case.run(
        f"UPDATE event SET position = -position WHERE position >= {position}",  # noqa: S608 - the test's own text
        "UPDATE event SET position = 1 - position WHERE position < 0",
        INSERTED.replace("position = 1", f"position = {2 if position == 1 else 1}").format(position=position),
    )
    # Opening meets the end that was moved, or the tail that was, first.
    assert case.found() in {position, RECORDS, RECORDS + 1}


@pytest.mark.parametrize(("first", "second"), [(1, 2), (10, 500), (300, 301), (RECORDS - 1, RECORDS)])
def test_two_swapped_records_are_found(first: int, second: int, case: Case) -> None:
    case.run(
        f"UPDATE event SET position = -1 WHERE position = {first}",  # noqa: S608 - the test's own text
        f"UPDATE event SET position = {first} WHERE position = {second}",  # noqa: S608 - the same
        f"UPDATE event SET position = {second} WHERE position = -1",  # noqa: S608 - the same
    )
    # Opening compares the last record with the head before all others, and the tail before the rest.
    assert case.found() == first or second == RECORDS or first < tile_of(RECORDS).start - len(tile_of(RECORDS))
    assert case.found() in {first, second}


@pytest.mark.parametrize(("first", "second"), [(1, 2), (300, 301), (RECORDS - 1, RECORDS)])
def test_two_swapped_payloads_are_found(first: int, second: int, case: Case) -> None:
    data = {record.position: record.data for record in case.records}
    for position, other in ((first, second), (second, first)):
        update = f"UPDATE event SET data = CAST(? AS TEXT) WHERE position = {position}"  # noqa: S608 - the same
        case.run(update, values=(data[other],))
    assert case.found() == first


@pytest.mark.parametrize("position", [1, 255, 256, 257, 400, 512, 513, RECORDS])
def test_a_record_rewritten_with_its_digest_is_found_by_its_tile(position: int, case: Case) -> None:
    case.rewrite(position, data='{"symbol":"NQZ5","side":"SELL","quantity":"9"}')
    found = case.found()
    assert found is not None, "a record and its digest were rewritten, and nothing found"
    # Opening holds the last complete tile and what follows together, so it names the first of both.
    assert found in {tile_of(position).start, tile_of(position).start - len(tile_of(position))}


def test_each_rewritten_node_of_the_tree_is_found(tmp_path: Path) -> None:
    records = make_log(tmp_path / "sound", 1_100)
    case = Case(tmp_path / "sound", tmp_path / "broken", records)
    with case.sql() as connection:
        nodes = connection.execute("SELECT level, number FROM node").fetchall()
    assert {level for level, _ in nodes} == {8, 9, 10}
    for level, number in nodes:
        at = f"level = {level} AND number = {number}"
        for change in (
            f"UPDATE node SET hash = zeroblob(32) WHERE {at}",  # noqa: S608 - the test's own text
            f"DELETE FROM node WHERE {at}",  # noqa: S608 - the same
        ):
            case.run(change)
            assert case.found() is not None, f"{change}: nothing found"
            case.restore()


@pytest.mark.parametrize("node", ["(8, 77, zeroblob(32))", "(12, 0, zeroblob(32))", "(3, 5, zeroblob(32))"])
def test_an_added_node_of_the_tree_is_found(node: str, case: Case) -> None:
    case.run(f"INSERT INTO node VALUES {node}")  # noqa: S608 - the test's own text
    assert case.found() is not None


@pytest.mark.parametrize(
    "change",
    [
        "frontier = zeroblob(length(frontier))",
        "frontier = x''",
        "frontier = CAST(frontier || zeroblob(32) AS BLOB)",
        "frontier = CAST(substr(frontier, 1, length(frontier) - 1) AS BLOB)",
        "position = position + 1",
        "position = position - 1",
        "position = 0",
        "position = -1",
        "recorded_at = recorded_at - 1",
        "recorded_at = recorded_at + 1000000000",
    ],
)
def test_a_rewritten_head_is_found(change: str, case: Case) -> None:
    case.run(f"UPDATE head SET {change}")  # noqa: S608 - the test's own text
    assert case.found() is not None


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM head",
        "DELETE FROM meta",
        "DELETE FROM meta WHERE key = 'log'",
        "DELETE FROM meta WHERE key = 'log_id'",
        "UPDATE meta SET value = x'00' WHERE key = 'log_id'",
        "UPDATE meta SET value = 7 WHERE key = 'log_id'",
        "DROP TABLE node",
        "DROP TABLE event",
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 1",
    ],
)
def test_a_log_without_what_it_consists_of_is_refused_by_name(change: str, case: Case) -> None:
    case.run(change)
    with pytest.raises(CorruptJournal):
        eventstore.open(case.broken)


def test_a_tail_cut_off_with_the_head_is_found_by_the_watermark(sound: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(sound[0], tmp_path / "data")
    older = tmp_path / "older"
    shutil.copytree(tmp_path / "data", older)
    with eventstore.open(tmp_path / "data") as store:
        store.append("order/ACC1/1", [submitted()] * 10)
    # All but the watermarks goes back to how it was, tree and all: nothing inside the file is wrong.
    shutil.copy(older / "main" / "journal.db", tmp_path / "data" / "main" / "journal.db")
    with pytest.raises(CorruptJournal, match="acknowledged records are lost") as caught:
        eventstore.open(tmp_path / "data")
    assert caught.value.position == RECORDS + 1


def test_a_lowered_head_with_its_rows_cut_off_is_found(case: Case) -> None:
    with eventstore.open(case.broken.parent / "shorter") as shorter:
        shorter.append("order/ACC1/1", submitted())
    case.run(
        f"DELETE FROM event WHERE position > {RECORDS - 5}",  # noqa: S608 - the test's own text
        f"UPDATE head SET position = {RECORDS - 5}",  # noqa: S608 - the same
    )
    found = case.found()
    assert found is not None
    assert found <= RECORDS - 4


def test_another_logs_file_in_the_place_of_ones_own_is_found(sound: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(sound[0], tmp_path / "data")
    shutil.copy(sound[1] / "main" / "journal.db", tmp_path / "data" / "main" / "journal.db")
    with pytest.raises(CorruptJournal, match="another log"):
        eventstore.open(tmp_path / "data")


def test_a_log_that_never_began_in_the_place_of_ones_own_is_found(sound: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(sound[0], tmp_path / "data")
    (tmp_path / "data" / "main" / "journal.db").unlink()
    with pytest.raises(CorruptJournal):
        eventstore.open(tmp_path / "data")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::eventstore.StorageWarning")
def test_a_damaged_watermark_is_named(sound: tuple[Path, Path], tmp_path: Path) -> None:
    chance = random.Random(SEED)
    shutil.copytree(sound[0], tmp_path / "data")
    mark = tmp_path / "data" / "main" / "watermarks" / "head"
    content = mark.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        mark.write_bytes(changed)
        try:
            with eventstore.open(tmp_path / "data") as store:
                assert store.verify().ok
        except CorruptJournal:
            pass
        mark.write_bytes(content)
    mark.write_bytes(b"")
    with eventstore.open(tmp_path / "data") as store:
        assert store.verify().ok


@pytest.mark.slow
@pytest.mark.untraced
def test_no_flipped_byte_of_the_file_goes_by(case: Case) -> None:
    """Found by name on opening, by verifying or by SQLite's own check; or it was nothing: all reads as before."""
    chance = random.Random(SEED)
    whole = case.file.read_bytes()
    ends: Counter[str] = Counter()
    for _ in range(RAW_FLIPS):
        changed = bytearray(whole)
        place = chance.randrange(len(whole))
        changed[place] ^= 1 << chance.randrange(8)
        case.file.write_bytes(changed)
        end, records = outcome(case.broken)
        ends[end] += 1
        if end == "unchanged":
            assert acks_of(records) == acks_of(case.records)
            assert records == case.records, f"byte {place} was changed, and what is read is not what was written"
        case.restore()
    print(dict(ends))  # noqa: T201 - figures to publish
    assert ends["unchanged"] < RAW_FLIPS / 2
