"""The table of contracts: multipliers, names of a contract, and contracts that are not listed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from eventstore import InvalidEvent, UnknownContract
from gateways.importers import ContractEntry, ContractTable, contract_for, load_contracts
from gateways.importers.contracts import builtin_table

# Contract units as CME Group's rulebooks have them: units of the underlying for one unit of its price.
ROOTS = {
    "0.1": ("MBT", "MET"),
    "0.5": ("MYM",),
    "2": ("MNQ",),
    "5": ("MES", "YM", "M2K", "NKD", "BTC"),
    "10": ("MGC",),
    "20": ("NQ",),
    "50": ("ES", "RTY", "ETH", "ZC", "ZS", "ZW", "QO", "PL"),
    "100": ("ZM", "MCL", "GC"),
    "400": ("LE", "HE"),
    "500": ("GF", "QM"),
    "600": ("ZL",),
    "1000": ("ZF", "ZN", "TN", "ZB", "UB", "CL", "MNG", "SIL"),
    "2000": ("ZT",),
    "2500": ("QG", "MHG"),
    "5000": ("SI",),
    "6250": ("M6B",),
    "10000": ("M6A", "NG"),
    "12500": ("M6E",),
    "25000": ("HG",),
    "42000": ("HO", "RB"),
    "62500": ("6B",),
    "100000": ("6A", "6C", "6N"),
    "125000": ("6E", "6S"),
    "500000": ("6M",),
    "12500000": ("6J",),
}
MULTIPLIERS = {root: Decimal(unit) for unit, roots in ROOTS.items() for root in roots}


@pytest.mark.parametrize("root", MULTIPLIERS)
def test_a_tick_is_worth_its_size_times_the_contract_unit(root: str) -> None:
    contract = contract_for(f"{root}Z5")
    assert contract.tick_size is not None
    assert contract.tick_value is not None
    assert contract.tick_value / contract.tick_size == MULTIPLIERS[root]
    assert contract.point_value == MULTIPLIERS[root]
    assert contract.root == root


def test_every_built_in_contract_is_reported_in_full() -> None:
    for root, entry in builtin_table().entries.items():
        required = (entry.name, entry.product, entry.tick_size, entry.tick_value, entry.multiplier)
        assert all(required), root
        assert entry.exchange in {"CME", "CBOT", "NYMEX", "COMEX"}, root
        assert entry.currency == "USD", root


def test_no_projectx_root_means_two_contracts() -> None:
    entries = builtin_table().entries
    aliases = [alias for entry in entries.values() for alias in entry.projectx]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(entries)


@pytest.mark.parametrize(
    ("name", "symbol", "root"),
    [
        ("MNQZ5", "MNQZ5", "MNQ"),
        ("MNQZ25", "MNQZ5", "MNQ"),
        ("MNQZ2025", "MNQZ5", "MNQ"),
        ("mnqz5", "MNQZ5", "MNQ"),
        ("ESH26", "ESH6", "ES"),
        ("6EH26", "6EH6", "6E"),
        ("M2KM5", "M2KM5", "M2K"),
        ("1OZG6", "1OZG6", "1OZ"),
    ],
)
def test_a_symbol_of_any_year_form_finds_its_root(name: str, symbol: str, root: str) -> None:
    contract = contract_for(name)
    names = () if name == symbol else (name,)
    assert (contract.symbol, contract.root, contract.broker_ids) == (symbol, root, names)


@pytest.mark.parametrize(
    ("name", "symbol", "root"),
    [
        ("CON.F.US.MNQ.U25", "MNQU5", "MNQ"),
        ("CON.F.US.ENQ.Z25", "NQZ5", "NQ"),
        ("CON.F.US.EP.H26", "ESH6", "ES"),
        ("CON.F.US.EU6.M26", "6EM6", "6E"),
        ("CON.F.US.MCLE.Q26", "MCLQ6", "MCL"),
    ],
)
def test_a_projectx_name_becomes_the_symbol_and_stays_beside_it(name: str, symbol: str, root: str) -> None:
    contract = contract_for(name)
    assert (contract.symbol, contract.root, contract.broker_ids) == (symbol, root, (name,))


@pytest.mark.parametrize("symbol", ["XYZZ5", "AAPL", "MET", "ES", "Mnqz5", "MNQA5", "CON.F.US.XYZ.U25", "MNQZ5 "])
def test_what_no_table_lists_is_an_error_that_names_it_and_the_cure(symbol: str) -> None:
    with pytest.raises(UnknownContract) as caught:
        contract_for(symbol)
    assert caught.value.symbol == symbol
    assert repr(symbol) in str(caught.value)
    assert "--contracts" in str(caught.value)


def test_a_file_of_ones_own_adds_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[contracts.AAPL]\nmultiplier = 1\n[contracts.MNQ]\ntick_size = 0.25\ntick_value = "0.75"\ncurrency = "EUR"\n',
        encoding="utf-8",
    )
    assert contract_for("AAPL", path).point_value == 1
    assert contract_for("MNQZ5", path).point_value == 3
    assert contract_for("MNQZ5", str(path)).currency == "EUR"
    assert contract_for("MESZ5", path).point_value == 5
    assert contract_for("MNQ", load_contracts(path)).symbol == "MNQ"


def test_an_own_table_may_name_the_broker_s_roots() -> None:
    table = ContractTable({"XX": ContractEntry(multiplier=Decimal(7), projectx=("YYE",))})
    assert contract_for("CON.F.US.YYE.Z25", table).symbol == "XXZ5"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[contracts.A]\n", "give multiplier, or tick_size and tick_value"),
        ("[contracts.A]\ntick_size = 1\n", "give multiplier, or tick_size and tick_value"),
        ("[contracts.A]\nmultiplier = 0\n", "above 0"),
        ("[contracts.A]\nmultiplier = 2\ntick_size = 0.25\ntick_value = 0.6\n", r"tick_size × multiplier is 0\.50"),
        ("[contracts.A]\nmultiplyer = 2\n", "multiplyer"),
        ("[contracts.A\n", "is not a table of contracts"),
    ],
)
def test_a_wrong_table_says_which_entry_and_why(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidEvent, match=why) as caught:
        load_contracts(path)
    assert "wrong.toml" in str(caught.value)


def test_a_table_in_another_encoding_is_not_a_table(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'[contracts.A]\nname = "\xe9"\nmultiplier = 1\n')
    with pytest.raises(InvalidEvent, match="UTF-8"):
        load_contracts(path)
