"""What proves and copies a log in PostgreSQL that was rotated: checkpoints, proofs, bundles, causes, and the mirror."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

import eventstore
from eventstore import MIRRORED, CheckpointSettings, EventStore, InfluxSettings
from eventstore.chains.source import MissingLog
from eventstore.influx import claims
from eventstore.influx.client import Client
from eventstore.proofs import InclusionProof, verify_bundle
from eventstore.proofs.checkpoint_file import CheckpointFile
from eventstore.proofs.health import checkpoint_health
from eventstore.proofs.key_files import KeyFolder
from eventstore.proofs.signers import origin_of
from eventstore.trading import OrderCanceled
from projections.rotation import rotate
from tests.cli.command import Ended, run_here
from tests.http.serving import running
from tests.influx.api import Server
from tests.influx.mirroring import expected_points, points
from tests.places import named
from tests.rotation.logs import begun, check

ORDER = "order/A/O-1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFolder:
    """A folder of keys that commands use too."""
    monkeypatch.setenv("EVENTSTORE_KEYS", str(tmp_path / "keys"))
    return KeyFolder(tmp_path / "keys")


@pytest.fixture
def settings(folder: KeyFolder) -> CheckpointSettings:
    return CheckpointSettings(keys=str(folder.path), every_seconds=0, witnesses={"usb": ["cat"]})


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of a log of four records."""
    return begun(postgres_url)


def done(*words: str) -> Ended:
    result = run_here(*words)
    assert result.code == 0, result.err
    return result


def sign(store: EventStore, folder: KeyFolder, settings: CheckpointSettings) -> None:
    """Sign what a log has now, with a key of its own."""
    folder.create(origin_of(store.log, store.log_id), store.log, store.log_id, store.clock.now_ns())
    assert store.checkpoint(settings).is_witnessed


def test_each_log_has_checkpoints_that_verify(
    url: str, folder: KeyFolder, settings: CheckpointSettings, tmp_path: Path
) -> None:
    data = ("--data", url)
    with eventstore.open(url) as store:
        sign(store, folder, settings)
        old_origin = origin_of(store.log, store.log_id)
        old_key = done("keys", *data).out
        rotate(store)
    with eventstore.open(url) as store:
        # What the old log had signed does not count as signed of the next one.
        assert store.side is not None
        assert CheckpointFile(store.side).newest() == []
        sign(store, folder, settings)
        store.append(ORDER, OrderCanceled())
        assert store.checkpoint(settings).new
        assert [each.size for each in CheckpointFile(store.side).newest()] == [21, 22]
        found = checkpoint_health(store, store.side, folder)
        assert (found.wrong, found.attention) == ((), ())
        head = store.head()
    new_key = done("keys", *data).out
    for position, size, origin, key in ((3, 4, old_origin, old_key), (head, 22, "eventstore/main.2/", new_key)):
        proof, keys = tmp_path / f"proof-{position}", tmp_path / f"key-{position}"
        keys.write_text(key)
        done("prove", str(position), "--out", str(proof), *data)
        assert origin in done("prove", "--check", str(proof), "--key", str(keys)).out
        assert InclusionProof.parse(proof.read_text()).checkpoint.size == size
    bundle = tmp_path / "bundle.zip"
    done("export", "--bundle", str(bundle), "--start", "6", *data)
    assert verify_bundle(bundle, key=new_key.splitlines()[0]).size == 22
    assert "the newest has size 22" in done("doctor", *data).out


def test_a_service_proves_the_records_of_both_logs(url: str, folder: KeyFolder, settings: CheckpointSettings) -> None:
    with eventstore.open(url) as store:
        sign(store, folder, settings)
        rotate(store)
    with eventstore.open(url) as store:
        sign(store, folder, settings)
        # Past what is signed, and in a log of fewer records than its position.
        head = store.append(ORDER, OrderCanceled())[0].position
    with running(url) as service:
        client = service.client
        for position, log, is_signed in ((3, "main", True), (head - 1, "main.2", True), (head, "main.2", False)):
            answer = client.get(f"/v1/proofs/record/{position}").json()
            assert (answer["log"], answer["signed"]) == (log, is_signed)
            assert InclusionProof.parse(answer["proof"]).holds
            included = client.get("/v1/proofs/inclusion", params={"position": position})
            assert (included.status_code, included.json()["log"]) == (200, log)
        sized = client.get("/v1/proofs/inclusion", params={"position": 3, "size": 4})
        assert (sized.status_code, sized.json()["log"]) == (200, "main")
        assert client.get("/v1/proofs/inclusion", params={"position": 3, "size": 2}).status_code == 422


def test_the_mirror_has_both_logs_each_under_its_name(
    url: str, influx: InfluxSettings, influx_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("url", "org", "bucket", "token"):
        monkeypatch.setenv(f"EVENTSTORE_INFLUX_{name.upper()}", getattr(influx, name))
    data, next_data = ("--data", url), ("--data", str(named(url, "main.2")))
    done("mirror", "--once", *data)
    with eventstore.open(url) as store:
        # Not shipped when the log ends: it is afterwards.
        store.append(ORDER, OrderCanceled())
        rotate(store)
    shipped = json.loads(done("mirror", "--once", "--json", *data).out)
    assert shipped == {"log": "main", "position": 6, "head": 6}
    assert json.loads(done("mirror", "--once", "--json", *next_data).out)["log"] == "main.2"
    for each in (data, next_data):
        assert done("mirror", "--check", *each).out.startswith("ok: InfluxDB has the same")
    with eventstore.open(url) as store:
        assert store.chain is not None
        before = store.chain.before
        assert not isinstance(before, MissingLog)
        with contextlib.closing(Client(influx)) as client:
            ids = {log: claims.log_id_of(client, log) for log in claims.logs(client)}
        assert ids == {"main": before.log_id, "main.2": store.log_id}
        assert points(influx_server, influx.bucket, log="main.2") == expected_points(store.alone())
        assert points(influx_server, influx.bucket, log="main") == expected_points(EventStore(before))
    with eventstore.open(url, influx=influx) as store:
        store.append(ORDER, OrderCanceled(), key="after", durability=MIRRORED)
        assert store.mirror.status.lag_events == 0
        check(store)
    for log in ("main", "main.2"):
        with eventstore.connect(
            influx.url, org=influx.org, bucket=influx.bucket, token=influx.token, log=log
        ) as reader:
            assert [record.position for record in reader.read()] == list(range(1, reader.head() + 1))
            assert reader.verify().ok


def test_causes_timelines_and_states_go_across(url: str) -> None:
    with eventstore.open(url) as store:
        rotate(store)
    with eventstore.open(url) as store:
        store.append(ORDER, OrderCanceled())
        head = store.head()
    data = ("--data", url)
    shown = [json.loads(line) for line in done("timeline", "--json", *data).out.splitlines()]
    assert {1, 2, 3, 4, head} <= {each["position"] for each in shown}
    for position, answer in ((3, "Submitted order O-1: buy 3 ES"), (head, "Order O-1 was cancelled")):
        found = json.loads(done("why", "--json", str(position), *data).out)
        assert (found["answer"], found["record"]["position"]) == (answer, position)
    before = json.loads(done("as-of", "4", "--json", "--account", "A", *data).out)
    after = json.loads(done("state", "--json", "--account", "A", *data).out)
    assert before["positions"] == after["positions"] != []
    assert f"ok: {head} records are as they were written" in done("verify", *data).out
    assert f"the last {head} are as they were written" in done("doctor", *data).out
