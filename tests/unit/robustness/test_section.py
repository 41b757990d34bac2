"""The report's section from results made by hand: what it says, with one system more or less."""

import pandas as pd
import pytest

from benchmarks.robustness import evidence, suite
from benchmarks.robustness.section import section
from benchmarks.robustness.systems import ENCODER, PAMT, SOUND

RIGHT = {
    ENCODER: {"clean": 0b1111, "pgd-peak-30": 0b0000, "masked": 0b0000, "noise-30": 0b0111},
    PAMT: {"clean": 0b1111, "pgd-peak-30": 0b0011, "masked": 0b0001, "noise-30": 0b1111},
    SOUND: {"clean": 0b0111, "pgd-peak-30": 0b0000, "masked": 0b0000, "noise-30": 0b0011},
}
"""Which of four clips are answered rightly, a bit each."""


def _write(folder, systems):
    rows = [
        {
            "task": "covers",
            "attack": attack,
            "system": system,
            "seed": 0,
            "item": str(clip),
            "correct": bits >> clip & 1,
            "snr_db": None if attack == "clean" else 30.0,
            "nmr_db": None if attack == "clean" else -3.0,
            "jnd": 0.0 if attack == "clean" else 0.5,
            "queries": 1,
            "model": "0",
        }
        for system in systems
        for attack, bits in RIGHT[system].items()
        for clip in range(4)
    ]
    # A clip that was wrong from the start: nothing was done to it.
    rows[4] |= {"snr_db": None, "nmr_db": None, "jnd": 0.0}
    pd.DataFrame(rows).to_csv(folder / suite.FILE_NAME, index=False)
    clean = [
        {"measure": "top1", "value": 0.25 + 0.1 * seed, "task": "covers", "system": system}
        | {"seed": seed, "layer": -1, "n_test": 4, "model": "0"}
        for system in systems
        for seed in range(2)
    ]
    pd.DataFrame(clean).to_csv(folder / suite.CLEAN_NAME, index=False)
    told = [
        {"task": "covers", "probe": "gallery", "item": "0", "system": system, "kind": kind, "x": x}
        | {"margin": 0.1, "correct": 0, "model": "0"}
        for system in (ENCODER, PAMT)
        for kind, x in (("steps", 1), ("budget", 30), (f"transfer from {ENCODER}", None))
    ]
    pd.DataFrame(told).to_csv(folder / evidence.FILE_NAME, index=False)


@pytest.mark.parametrize("systems", [(ENCODER, PAMT), (ENCODER, PAMT, SOUND)])
def test_what_the_section_says(tmp_path, systems):
    _write(tmp_path, systems)
    text = "\n".join(section(tmp_path, tmp_path / "REPORT.md"))
    # Gains of 2 and 1 clips of 4 under the two attacks; the control does not count.
    assert "| covers | +37.5 (" in text
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    shown = [" / ".join(str(25 * RIGHT[s][a].bit_count()) for s in systems) for a in RIGHT[PAMT]]
    for attack, cell in zip(RIGHT[PAMT], shown, strict=True):
        (row,) = [row for row in rows if len(row) > 5 and row[1] == attack]
        assert row[2] == cell
        heard = ["-", "-", "-"] if attack == "clean" else ["30.0", "-3.0", "0.5"]
        assert row[3:6] == heard
    assert "0.300 (0.250 to 0.350)" in text
    assert ["", "pgd-peak-30, all attacked clips", "0", "50", ""] in rows
    assert len(list((tmp_path / "plots").glob("robustness-*.png"))) == 4
