"""`dispute`: the pack on disk, what its pages say first, what proves it, and what is refused."""

from __future__ import annotations

import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typing_extensions import override

import eventstore
from eventstore.clock import format_time
from eventstore.proofs import InclusionProof, verify_bundle
from eventstore.proofs.key_files import FOLDER, KeyFolder
from eventstore.proofs.signers import origin_of
from eventstore.reader import EventReader
from eventstore.trading import LockoutSet, NoteAdded, Side
from gateways.cli.dispute_pack import write_pack
from gateways.presenting.presenter import Presenter
from projections import auditing
from projections.rules import shipped_rules
from tests.cli.command import Run
from tests.projections.rules_day import NOON, at, trading_day

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e\"'&quot; =1+1"
HEADER = "time,symbol,side,quantity,price,fee,trade_id"


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "keys"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the directory of a store whose account A lost 1,254 of 1,000 on 2026-11-20."""
    day = trading_day(tmp_path / "data", *shipped_rules())
    day.limit("daily-loss", limit="1000")
    day.pass_seconds(60)
    day.fill(Side.BUY, "5000", fee="2")
    day.fill(Side.SELL, "4975", fee="2")
    day.close()
    return tmp_path / "data"


def packed(run: Run, data: Path, *options: object, when: str = "2026-11-20") -> dict[str, str]:
    """Return the files of the pack, as text."""
    target = data.parent / "pack.zip"
    ended = run("dispute", "A", when, "--out", target, "--data", data, *options)
    assert ended.code == 0, ended.err
    return files_of(target)


def files_of(target: Path) -> dict[str, str]:
    with zipfile.ZipFile(target) as zipped:
        return {name: zipped.read(name).decode() for name in zipped.namelist() if name != "proof.bin"}


class Page(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    @override
    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


# What is refused


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("Z", "2026-11-20"), 1, "there is no account 'Z' in log main"),
        (("A", "2026-11-10"), 1, "A has no records on 2026-11-10, and no lockout held: nothing was written"),
        (("A", "tomorrow"), 2, "not a trading day"),
        (("A", "2026-11-20", "--statement", "nowhere.csv"), 2, "there is no file nowhere.csv"),
        (("A", "2026-11-20", "--format", "fills"), 2, "--statement FILE"),
    ],
)
def test_nothing_is_written_for_what_is_not_there(
    run: Run, data: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    target = data.parent / "pack.zip"
    ended = run("dispute", *arguments, "--out", target, "--data", data)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert not target.exists()


def test_nothing_is_overwritten(run: Run, data: Path) -> None:
    target = data.parent / "pack.zip"
    target.write_text("mine")
    ended = run("dispute", "A", "2026-11-20", "--out", target, "--data", data)
    assert (ended.code, target.read_text()) == (2, "mine")
    assert "exists already" in ended.err


# The pack


def test_the_first_screen_says_who_when_which_limit_which_figure_and_the_executions(run: Run, data: Path) -> None:
    page = Page(packed(run, data)["index.html"])
    first = page.text.partition("Lockout daily-loss at")[0]
    for said in (
        *("A, trading day 2026-11-20", "daily-loss", "2026-11-20 09:01:00.", "-1,000.00 USD", "-1,254.00 USD"),
        *("risk@desk", "policy:daily-loss", "Sold 1 ES at 4,975.00", "-1,252.00", "America/Chicago"),
    ):
        assert said in first
    for section in ("Limits in force", "Headroom over the day", "The firm", "What is not known", "Proof"):
        assert section in page.text


def test_pages_run_and_fetch_nothing_and_link_only_to_the_pack(run: Run, data: Path) -> None:
    files = packed(run, data)
    pages = {name: Page(text) for name, text in files.items() if name.endswith(".html")}
    assert {"index.html", "timeline.html", "headroom.html"} <= pages.keys()
    for page in pages.values():
        assert not page.tags & {"script", "img", "iframe", "object", "link", "form"}
        assert set(page.links) <= files.keys()


def test_without_a_key_the_pack_says_that_nothing_is_signed(run: Run, data: Path) -> None:
    target = data.parent / "pack.zip"
    ended = run("dispute", "A", "2026-11-20", "--out", target, "--data", data, "--read-only")
    assert "nobody has signed a checkpoint" in ended.err
    assert "Nothing here is signed" in Page(files_of(target)["index.html"]).text
    checked = verify_bundle(target)
    assert (checked.ok, checked.reason) == (None, "")


def test_with_a_key_the_pack_is_proved_pages_included(run: Run, data: Path) -> None:
    key = run("keys", "new", "--data", data).out.split()[-1]
    files = packed(run, data)
    target = data.parent / "pack.zip"
    checked = verify_bundle(target, key=key)
    assert (checked.ok, checked.unknown) == (True, ())
    assert key in files["index.html"]
    page = target.read_bytes()
    at_byte = page.index(b"index.html") + 200
    target.write_bytes(page[:at_byte] + bytes([page[at_byte] ^ 1]) + page[at_byte + 1 :])
    assert verify_bundle(target, key=key).ok is False


def test_a_source_without_an_index_or_a_tree_gives_the_same_records(data: Path) -> None:
    packs = {}
    with eventstore.open(data, read_only=True) as store:
        for number, source in enumerate((store, EventReader(store._source))):
            target = data.parent / f"{number}.zip"
            found = auditing.dispute(source, "A", "2026-11-20")
            keys = KeyFolder(data.parent / "keys")
            write_pack(source, found, target, checkpoint=None, folder=keys, shown=Presenter(), progress=lambda *_: None)
            packs[number] = files_of(target)
            assert verify_bundle(target).reason == ""
    assert packs[0]["records.jsonl"] == packs[1]["records.jsonl"]
    assert packs[0]["index.html"] == packs[1]["index.html"]


def test_a_decision_at_a_quote_adds_up_with_what_was_unrealized(tmp_path: Path, run: Run) -> None:
    day = trading_day(tmp_path / "quoted", *shipped_rules())
    day.limit("daily-loss", limit="1000", basis="equity")
    day.make("-525")
    day.fill(Side.BUY, "5000", fee="2")
    day.pass_seconds(5)
    day.quote("4990")
    day.close()
    first = Page(packed(run, tmp_path / "quoted")["index.html"]).text.partition("Lockout daily-loss at")[0]
    assert "Decided at a quote or as time passed" in first
    assert re.search(r"together +USD +-527.00 +unrealized +USD +-500.00 +figure +USD +-1,027.00", first)


def test_what_is_cited_from_elsewhere_has_a_proof_of_its_own(run: Run, data: Path) -> None:
    day = trading_day(data.parent / "later", *shipped_rules())
    setting = day.limit("daily-loss", limit="1000")
    day.end()
    day.clock.set(at(23, 15))
    day.fill(Side.BUY, "5000")
    day.fill(Side.SELL, "4975")
    day.close()
    run("keys", "new", "--data", data.parent / "later")
    files = packed(run, data.parent / "later", when="2026-11-23")
    proof = InclusionProof.parse(files[f"proof-{setting.position}.txt"])
    assert (proof.position, proof.holds) == (setting.position, True)
    positions = [json.loads(line)["position"] for line in files["records.jsonl"].splitlines()]
    assert setting.position not in positions
    assert "1 records from elsewhere" in re.sub(r"\s+", " ", Page(files["index.html"]).text)


def test_a_lockout_of_an_earlier_day_is_proved_where_the_day_has_no_records(run: Run, tmp_path: Path) -> None:
    with eventstore.open(tmp_path / "quiet") as store:
        [record] = store.append("lockout/A/manual", LockoutSet(rule_id="manual"), occurred_at=NOON, actor="kim")
    key = run("keys", "new", "--data", tmp_path / "quiet").out.split()[-1]
    files = packed(run, tmp_path / "quiet", when="2026-11-24")
    assert "Set before this day" in files["index.html"]
    assert InclusionProof.parse(files[f"proof-{record.position}.txt"]).holds
    checked = verify_bundle(tmp_path / "pack.zip", key=key)
    assert (checked.ok, checked.records) == (True, 0)


def test_hostile_text_has_no_effect_on_a_page(run: Run, data: Path) -> None:
    with eventstore.open(data) as store:
        fill = next(record for record in store.read(stream="order/"))
        store.append("lockout/A/manual", LockoutSet(rule_id="manual", reason=HOSTILE), occurred_at=NOON, actor=HOSTILE)
        store.append("note/A/1", NoteAdded(target=str(fill.uuid), text=HOSTILE, tags=("x",)), actor=HOSTILE)
    for name, text in packed(run, data).items():
        if name.endswith(".html"):
            page = Page(text)
            assert not page.tags & {"script", "img"}
            assert not {name for name in page.attributes if name.startswith("on")}
            assert not re.search("[\x1b\u202e]", text)
    ended = run("dispute", "A", "2026-11-20", "--out", data.parent / "again.zip", "--data", data)
    assert "\x1b" not in ended.out


def test_the_statement_s_breaks_are_in_the_pack(run: Run, data: Path) -> None:
    with eventstore.open(data, read_only=True) as store:
        fills = list(store.read(stream="order/"))
    times = [format_time(record.occurred_at) for record in fills]
    ids = [str(getattr(record.event, "trade_id", "")) for record in fills]
    path = data.parent / "statement.csv"
    rows = [f"{times[0]},ES,buy,1,5000,2,{ids[0]}", f"{times[1]},ES,sell,1,4974,2,{ids[1]}"]
    path.write_text("\n".join((HEADER, *rows)) + "\n", "utf-8")
    options = ("--statement", path, "--format", "fills")
    document = json.loads(packed(run, data, *options)["dispute.json"])
    assert [each["kind"] for each in document["statement"]["breaks"]] == ["OTHER_PRICE"]
    ended = run("dispute", "A", "2026-11-20", "--out", data.parent / "b.zip", "--data", data, *options, "--json")
    assert ended.document["breaks"] == len(document["statement"]["breaks"])


@pytest.mark.slow
def test_the_demo_s_day_is_packed_with_the_figure_that_locked(run: Run, demo_directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "pack.zip"
    ended = run("dispute", "ACC2", "2025-11-19", "--out", target, "--data", demo_directory / "data", "--read-only")
    assert ended.code == 0
    files = files_of(target)
    document = json.loads(files["dispute.json"])
    [locked] = document["lockouts"]
    details = locked["lockout"]["details"]
    assert details["figure"] == locked["why"]["figures"][0]["amount"] == locked["why"]["figures"][0]["added"]
    assert "-3,136.35 USD" in files["index.html"]
    headroom = next(each for each in document["headroom"] if each["position"] == locked["lockout"]["positions"][0])
    assert headroom["of"][0]["figure"] == details["figure"].removeprefix("-")
    assert f"lockout-{headroom['position']}.html" in files
    assert verify_bundle(target).reason == ""


@pytest.mark.parametrize("signs", [True, False])
def test_a_day_in_a_log_that_has_ended_is_packed(run: Run, data: Path, signs: bool) -> None:
    """The day is in `main`, a correction of it in `main.2`: each record is proved in the log that has it."""
    words = ("keys", "new"), ("checkpoint",), ("rotate",), ("keys", "new")
    for each in words if signs else (("rotate",),):
        assert run(*each, "--data", data).code == 0
    with eventstore.open(data) as store:
        late = NoteAdded(target="day/A/2026-11-20", text="asked the firm")
        [note] = store.append("note/A/late", late)
        if signs:
            store.checkpoint()
        assert store.chain is not None
        offset, old_id = store.chain.offset, store.chain.continued.previous.bytes
        new_id, log = store.log_id, store.log
    files = packed(run, data)
    target = data.parent / "pack.zip"
    found = verify_bundle(target)
    assert (found.reason, found.origin) == ("", origin_of("main", old_id))
    records = [json.loads(line) for line in files["records.jsonl"].splitlines()]
    assert [each["type"] for each in records].count("OrderFilled") == 2
    assert "LockoutSet" in [each["type"] for each in records]
    proof = InclusionProof.parse(files[f"proof-{note.position}.txt"])
    assert (proof.holds, proof.log_id, proof.position) == (True, new_id, note.position - offset)
    assert bool(proof.checkpoint.signatures) == signs
    older = {InclusionProof.parse(files[name]).log_id for name in files if name.startswith("proof-")}
    assert older <= {old_id, new_id}
    text = Page(files["index.html"]).text
    assert "The records are of log main, with the same positions" in text
    assert f"Other proofs are of log {log}, whose position 1 is {offset + 1} on these pages" in text
    keys = [each.public for each in KeyFolder(data.parent / "keys").of_log(old_id)]
    assert verify_bundle(target, key=keys).ok is (True if signs else None)


def test_a_day_after_a_rotation_is_packed_by_the_newest_log(run: Run, data: Path) -> None:
    for words in (("rotate",), ("keys", "new")):
        assert run(*words, "--data", data).code == 0
    with eventstore.open(data) as store:
        assert store.chain is not None
        lock = LockoutSet(rule_id="desk", reason="asked for by the desk")
        [locked] = store.append("lockout/A/desk", lock, occurred_at=NOON + 30 * 86_400 * 1_000_000_000)
        offset = store.chain.offset
    files = packed(run, data, when="2026-12-20")
    [record] = [json.loads(line) for line in files["records.jsonl"].splitlines()]
    assert (record["type"], record["position"]) == ("LockoutSet", locked.position - offset)
    text = Page(files["index.html"]).text
    assert f"The records are of log main.2, whose position 1 is {offset + 1} on these pages" in text
    assert f"from position {locked.position} to {locked.position} are in records.jsonl" in text
    assert verify_bundle(data.parent / "pack.zip").reason == ""
