"""Checkpoints and proofs over HTTP: what they are refused for, and that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import eventstore
from eventstore.proofs import Checkpoint, ConsistencyProof, InclusionProof, paths
from eventstore.proofs.key_files import FOLDER, KeyFolder
from eventstore.proofs.keys import PublicKey
from eventstore.proofs.merkle import TreeHead
from eventstore.proofs.signed_notes import bytes_of
from eventstore.proofs.signers import origin_of
from tests.cli.command import run_here
from tests.http.audited import AT, audited_log
from tests.http.serving import Running, running

SIGNED = 19


class SignedService:
    """A served log of 19 records with a signed checkpoint of all, and one record more."""

    def __init__(self, served: Running, directory: Path, key: PublicKey) -> None:
        self.served, self.directory, self.key = served, directory, key
        self.store = served.service.store.sync_store


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedService]:
    place = tmp_path_factory.mktemp("proved")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(FOLDER, str(place / "keys"))
        audited_log(place / "data")
        with eventstore.open(place / "data") as store:
            stored = KeyFolder(place / "keys").create(origin_of("main", store.log_id), "main", store.log_id, AT)
            store.checkpoint()
        with running(place / "data") as served:
            served.append("order/ACC1/O-7", {"type": "OrderRejected", "data": {"reason": "late"}})
            yield SignedService(served, place / "data", stored.public)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/proofs/record/0", 422),
        ("/v1/proofs/record/1000", 404),
        ("/v1/proofs/record/99999999999999999999", 422),
        ("/v1/proofs/record/5?size=4", 422),
        ("/v1/proofs/record/5?size=1000", 422),
        ("/v1/proofs/inclusion", 422),
        ("/v1/proofs/inclusion?position=1000", 404),
        ("/v1/proofs/consistency?first=1000", 422),
        ("/v1/proofs/consistency?first=5&second=4", 422),
        ("/v1/proofs/consistency?first=-1", 422),
    ],
)
def test_what_cannot_be_proved_is_refused(signed: SignedService, path: str, status: int) -> None:
    answer = signed.served.client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_newest_checkpoint_is_a_signed_note_and_a_document(signed: SignedService) -> None:
    note = signed.served.client.get("/v1/checkpoint", headers={"accept": "text/plain"})
    assert note.headers["content-type"].startswith("text/plain")
    found = Checkpoint.parse(note.text).verify(signed.key)
    assert found.size == SIGNED
    document = signed.served.client.get("/v1/checkpoint").json()
    assert document["checkpoint"]["text"] == note.text
    size, root = signed.store.root()
    assert (document["size"], document["root"]) == (size, root.hex())


def test_a_log_that_nobody_signed_has_no_note(tmp_path: Path) -> None:
    audited_log(tmp_path)
    with running(tmp_path) as served:
        assert served.client.get("/v1/checkpoint", headers={"accept": "text/plain"}).status_code == 404
        assert served.client.get("/v1/checkpoint").json()["checkpoint"] is None
        found = served.client.get("/v1/proofs/record/3").json()
    assert (found["signed"], InclusionProof.parse(found["proof"]).holds) == (False, True)


def test_a_record_s_proof_is_that_of_the_command_and_checks(signed: SignedService, tmp_path: Path) -> None:
    found = signed.served.client.get("/v1/proofs/record/7").json()
    assert found["proof"] == run_here("prove", "7", "--data", signed.directory).out
    (tmp_path / "proof").write_text(found["proof"])
    checked = run_here("prove", "--check", tmp_path / "proof", "--key", signed.key.text)
    assert (checked.code, found["signed"], found["record"]["stream"]) == (0, True, "order/ACC1/O-1")


def test_a_record_past_the_checkpoint_is_proved_in_the_unsigned_tree(signed: SignedService) -> None:
    found = signed.served.client.get(f"/v1/proofs/record/{SIGNED + 1}").json()
    assert (found["size"], found["signed"]) == (SIGNED + 1, False)


def test_an_inclusion_leads_to_the_root_of_each_size(signed: SignedService) -> None:
    for size in range(7, SIGNED + 2):
        found = signed.served.client.get("/v1/proofs/inclusion", params={"position": 7, "size": size}).json()
        assert (found["size"], found["root"]) == (size, signed.store.root(size)[1].hex())
        leaf, path = bytes.fromhex(found["digest"]), tuple(bytes_of(each, "a hash") for each in found["hashes"])
        assert paths.is_included(leaf, 6, TreeHead(size, bytes.fromhex(found["root"])), path)


def test_a_growth_is_proved_from_each_size(signed: SignedService) -> None:
    size = 0
    for first in range(SIGNED + 2):
        found = signed.served.client.get("/v1/proofs/consistency", params={"first": first}).json()
        proof = ConsistencyProof.parse(found["proof"])
        assert proof.continues(TreeHead(first, signed.store.root(first)[1]))
        assert not proof.continues(TreeHead(first, b"\1" * 32))
        size = found["size"]
    assert size == SIGNED + 1
