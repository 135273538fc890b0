"""Every spelling of a futures contract's name, for tests that draw one."""

from __future__ import annotations

LETTERS = "FGHJKMNQUVXZ"
NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CQG = {"ES": "EP", "NQ": "ENQ", "6E": "EU6", "ZN": "TYA", "CL": "CLE"}
"""Roots in ProjectX's names, where they differ from the exchange's."""


def spellings(root: str, month: int, year: int) -> dict[str, bool]:
    """Return the names of a contract, each with whether it has the year's last digit only."""
    letter, short = LETTERS[month - 1], f"{year % 100:02}"
    code = f"{root}{letter}"
    names = {f"{code}{year % 10}": True, f"{code}{short}": False, f"{code}{year}": False}
    for name, is_short in tuple(names.items()):
        for dressed in (f"/{name}", f"{name}.CME", f"{name}.CBT", f"{name}-NYMEX", f"{name}_FUT_CME", f"/{name}:XCEC"):
            names[dressed] = is_short
        names |= {f"CME_MINI:{name}": is_short, f"COMEX:{name}": is_short, name.lower(): is_short}
    for apart in (f"{month:02}-{short}", f"{month:02}.{short}", f"{NAMES[month - 1]}{short}"):
        names |= {f"{root} {apart}": False, f"{root} {apart}".upper(): False, f"{root} {apart}".lower(): False}
    names[f"{root} {NAMES[month - 1].upper()} {short}"] = False
    names[f"CON.F.US.{CQG.get(root, root)}.{letter}{short}"] = False
    return names
