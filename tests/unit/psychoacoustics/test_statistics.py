import math

import pytest
import torch

from pamt_metric.psychoacoustics.flux import flux
from pamt_metric.psychoacoustics.modulation import MODULATION_RATES_HZ, N_REGIONS
from pamt_metric.psychoacoustics.presence import presence
from pamt_metric.psychoacoustics.scales import N_BANDS
from pamt_metric.psychoacoustics.statistics import LAYOUT, N_STATISTICS, from_summary, summarize

N_FRAME = 150
TIME_NAMES = ("attack", "body", "spread", "decay", "tail", "duration")


THRESHOLD = 100.0


def statistics(
    loudness: torch.Tensor,
    *,
    excitation: torch.Tensor | None = None,
    onset: torch.Tensor | None = None,
    n_valid: int | None = None,
) -> dict[str, torch.Tensor]:
    """Each group of one clip's statistics; no modulation and one ear like the other.

    Without an excitation it is in proportion to the loudness.
    """
    excitation = 1e4 * loudness if excitation is None else excitation
    n_frame = loudness.shape[0]
    mask = (torch.arange(n_frame) < (n_frame if n_valid is None else n_valid))[None]
    summary = summarize(
        mask,
        loudness=loudness[None],
        modulation=torch.zeros(1, n_frame, N_REGIONS, len(MODULATION_RATES_HZ)),
        interaural=torch.zeros(1, n_frame, N_REGIONS, 2),
        onset=torch.zeros(1, n_frame, N_REGIONS) if onset is None else onset[None],
        flux=flux(loudness[None], mask),
        presence=presence(excitation[None], 10.0 * excitation[None]),
        excitation=excitation[None],
        threshold=torch.full((1, n_frame, N_BANDS), THRESHOLD),
    )
    vector = from_summary(summary)
    assert vector.shape == (1, N_STATISTICS)
    assert bool(vector.isfinite().all())
    return dict(zip(LAYOUT, vector[0].split(list(LAYOUT.values())), strict=True))


def time_statistics(loudness: torch.Tensor) -> dict[str, float]:
    return dict(zip(TIME_NAMES, statistics(loudness)["time"].tolist(), strict=True))


def flat(*, low: int = 0, high: int = N_BANDS) -> torch.Tensor:
    loudness = torch.zeros(N_FRAME, N_BANDS)
    loudness[:, low:high] = 0.5
    return loudness


def note(*, attack: int = 2, hold: int = 40, decay: int = 2) -> torch.Tensor:
    """A tone that rises, holds and falls, each for so many frames, with silence around it."""
    rise = torch.linspace(0.0, 1.0, attack + 1)[1:]
    fall = torch.linspace(1.0, 0.0, decay + 1)
    shape = torch.cat([torch.zeros(10), rise, torch.ones(hold), fall])
    shape = torch.nn.functional.pad(shape, (0, N_FRAME - len(shape)))
    return 0.5 * shape[:, None].repeat(1, N_BANDS)


def test_brighter_sound_has_a_higher_centroid() -> None:
    dark, bright = (statistics(flat(low=low, high=low + 10))["brightness"] for low in (10, 50))
    # 40 bands of half a Cam, in units of 10 Cam; the floor pulls it by 0.2 %.
    assert float(bright[0] - dark[0]) == pytest.approx(2.0, rel=0.01)
    assert float(bright[2]) == pytest.approx(float(dark[2]), rel=0.01)


def test_wider_spectrum_has_a_larger_spread() -> None:
    narrow = statistics(flat(low=35, high=40))["brightness"]
    wide = statistics(flat(low=20, high=55))["brightness"]
    assert float(wide[2]) > 2.0 * float(narrow[2])


def test_a_wandering_centroid_is_noticed() -> None:
    steady = statistics(flat(low=20, high=30))["brightness"]
    jumping = flat(low=20, high=30)
    jumping[::2] = flat(low=40, high=50)[::2]
    assert float(steady[1]) < 0.01
    assert float(statistics(jumping)["brightness"][1]) == pytest.approx(0.5, rel=0.02)


def test_spectrum_is_the_root_of_shares() -> None:
    spectrum = statistics(flat(low=30, high=36))["spectrum"]
    assert float(spectrum.square().sum()) == pytest.approx(1.0)
    assert spectrum[10:12].tolist() == pytest.approx([0.5**0.5] * 2, rel=0.02)


def test_slower_attack_gives_a_larger_attack() -> None:
    slow, fast = time_statistics(note(attack=30)), time_statistics(note(attack=2))
    assert slow["attack"] > fast["attack"] + 1.0
    assert slow["decay"] < time_statistics(note(attack=30, decay=40))["decay"]


def test_longer_sound_has_a_longer_duration() -> None:
    short, long = time_statistics(note(hold=20)), time_statistics(note(hold=80))
    for name in ("duration", "spread", "body"):
        assert long[name] > short[name] + 0.5, name
    # Held longer, it starts and stops no more slowly: within a tenth, the floor's share.
    for name in ("attack", "decay"):
        assert long[name] == pytest.approx(short[name], abs=0.1), name


def test_duration_is_the_logarithm_of_seconds() -> None:
    duration = time_statistics(flat())["duration"]
    assert duration == pytest.approx(torch.log(torch.tensor(2.01)).item(), abs=1e-3)


def struck_and_backwards() -> tuple[dict[str, float], dict[str, float]]:
    """A note that starts at once and fades, and the same one that fades in and stops at once."""
    struck = time_statistics(note(attack=2, decay=60))
    return struck, time_statistics(note(attack=60, decay=2))


def test_a_struck_note_has_a_shorter_attack_than_backwards() -> None:
    struck, backwards = struck_and_backwards()
    assert struck["attack"] < backwards["attack"] - 1.0


def test_a_struck_note_has_a_longer_decay_than_backwards() -> None:
    struck, backwards = struck_and_backwards()
    assert struck["decay"] > backwards["decay"]


def test_a_longer_fall_has_a_longer_tail() -> None:
    short, long = (time_statistics(note(hold=20, decay=decay)) for decay in (2, 60))
    assert long["tail"] > short["tail"] + 0.2


def test_flux_counts_every_rise() -> None:
    once = statistics(flat())["flux"]
    pulsed = flat()
    pulsed[::10] = 0.0
    assert float(statistics(pulsed)["flux"]) > float(once) + 1.0


def test_modulation_and_width_reach_the_vector() -> None:
    loudness = flat()[None]
    modulation = torch.zeros(1, N_FRAME, N_REGIONS, len(MODULATION_RATES_HZ))
    modulation[:, :, 3:6, 1] = 0.3  # second group of three regions, second rate
    interaural = torch.zeros(1, N_FRAME, N_REGIONS, 2)
    interaural[..., 0] = -0.5
    mask = torch.ones(1, N_FRAME, dtype=torch.bool)
    nothing = torch.zeros_like(loudness)
    summary = summarize(
        mask,
        loudness=loudness,
        modulation=modulation,
        interaural=interaural,
        onset=torch.zeros(1, N_FRAME, N_REGIONS),
        flux=nothing,
        presence=nothing,
        excitation=nothing,
        threshold=torch.ones_like(loudness),
    )
    vector = from_summary(summary)[0]
    parts = dict(zip(LAYOUT, vector.split(list(LAYOUT.values())), strict=True))
    # sqrt of 3 regions x 0.3 sone over 75 x 0.5 x 0.5 sone
    expected = torch.zeros(LAYOUT["modulation"])
    expected[len(MODULATION_RATES_HZ) + 1] = (0.9 / 18.75) ** 0.5
    torch.testing.assert_close(parts["modulation"], expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(parts["width"], torch.tensor([0.25, 0.0]), rtol=1e-3, atol=1e-6)


def test_tonality_is_the_spread_of_prominence_within_a_group_of_regions() -> None:
    noise = torch.full((N_FRAME, N_BANDS), 9.0 * THRESHOLD)
    assert float(statistics(flat(), excitation=noise)["tonality"].max()) < 1e-3
    tone = noise.clone()
    tone[:, 15:30] = 0.0
    tone[:, 20] = 9.0 * THRESHOLD  # one of the fifteen bands of the second group, ln 10 over it
    expected = math.log(10.0) * math.sqrt(14.0) / 15.0
    found = statistics(flat(), excitation=tone)["tonality"]
    # Of the sum of weights a floor takes under a tenth of a percent.
    torch.testing.assert_close(
        found, torch.tensor([0.0, expected, 0.0, 0.0, 0.0]), rtol=1e-2, atol=1e-3
    )


def test_motion_is_the_spread_of_the_envelopes_cepstrum_over_time() -> None:
    band = torch.arange(N_BANDS) + 0.5
    first = (math.pi / N_BANDS * band).cos()
    still = (20.0 + 0.0 * first).exp().expand(N_FRAME, -1)
    assert float(statistics(flat(), excitation=still)["motion"].max()) < 1e-2
    sign = torch.where(torch.arange(N_FRAME) % 2 == 0, 1.0, -1.0)[:, None]
    moving = (20.0 + 0.5 * sign * first).exp()
    found = statistics(flat(), excitation=moving)["motion"]
    # An orthonormal cosine of amplitude 0.5 over all bands: 0.5 sqrt(bands / 2).
    assert float(found[0]) == pytest.approx(0.5 * math.sqrt(N_BANDS / 2.0), rel=0.01)
    assert float(found[1:].max()) < 0.02 * float(found[0])


def test_onset_is_that_of_the_most_sudden_moments_whatever_lies_between() -> None:
    once, twice = (torch.zeros(N_FRAME, N_REGIONS) for _ in "ab")
    once[10, :3] = 4.0
    twice[10::20, :3] = 4.0
    found = [statistics(flat(), onset=onset)["onset"] for onset in (once, twice)]
    # Root of 4 sone; a floor takes little.
    assert found[0].tolist() == pytest.approx([2.0, 0.0, 0.0, 0.0, 0.0], rel=2e-3)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-6)


def test_rise_is_the_mean_over_frames_that_are_heard() -> None:
    pulsed = flat()
    pulsed[::2] = 0.0
    assert float(statistics(flat())["rise"]) == pytest.approx(0.0, abs=1e-6)
    assert float(statistics(note(attack=2))["rise"]) > 0.0
    silent = torch.cat([note(attack=2), torch.zeros(100, N_BANDS)])
    torch.testing.assert_close(
        statistics(silent)["rise"], statistics(note(attack=2))["rise"], rtol=1e-5, atol=0.0
    )


def test_presence_is_the_mean_by_loudness_in_groups_of_three_bands() -> None:
    found = statistics(flat(low=30, high=36))["presence"]
    # A power as large as a tenth of the excitation is half present.
    assert found[10:12].tolist() == pytest.approx([0.5, 0.5], rel=1e-2)
    assert float(found.sum()) == pytest.approx(1.0, rel=1e-2)


def test_frames_beyond_the_mask_change_nothing() -> None:
    clip = note()[:100]
    alone = statistics(clip)
    beyond = torch.cat([clip, torch.full((50, N_BANDS), 3.0)])
    padded = statistics(beyond, n_valid=100)
    for name in LAYOUT:
        torch.testing.assert_close(padded[name], alone[name], rtol=1e-5, atol=1e-6)


def test_silence_is_finite_with_a_finite_slope() -> None:
    loudness = torch.zeros(N_FRAME, N_BANDS, requires_grad=True)
    total = torch.cat(list(statistics(loudness).values())).sum()
    (slope,) = torch.autograd.grad(total, loudness)
    assert bool(slope.isfinite().all())
