"""What a number may not depend on: batch, padding, order, pieces, threads, switches, the device."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pamt_metric
from pamt_metric.batch import pairs, scorer
from tests.support import signals

RATE = signals.SAMPLE_RATE
# Another order of sums in single precision, through some hundred layers.
BATCH_TOLERANCE = 1e-4
THREAD_TOLERANCE = 1e-5
DEVICE_TOLERANCE = 1e-3

PIECES = [signals.piece(duration, seed=seed) for seed, duration in enumerate((0.5, 0.8, 0.3, 1.1))]
NOISY = [signals.with_noise(x, snr) for x, snr in zip(PIECES, (20.0, 5.0, 0.0, 30.0), strict=True)]
PAIRS = [*zip(PIECES, NOISY, strict=True), (PIECES[0], signals.noise(0.4))]


@pytest.fixture(scope="module")
def metric():
    return pamt_metric.load()


def values(metric, pairs=PAIRS):
    return [metric.distance(a, b, sample_rate=RATE) for a, b in pairs]


def test_the_order_of_a_batch(metric):
    forth = metric.distance(*map(list, zip(*PAIRS, strict=True)), sample_rate=RATE)
    back = metric.distance(*map(list, zip(*PAIRS[::-1], strict=True)), sample_rate=RATE)
    assert back.flip(0).tolist() == pytest.approx(forth.tolist(), rel=BATCH_TOLERANCE)


@pytest.mark.parametrize("fill", [0.0, 1.0, float("nan")])
def test_how_far_a_batch_is_padded_and_with_what(metric, fill):
    a, b = PAIRS[1]
    alone = metric.distance(a, b, sample_rate=RATE)
    n_time = a.shape[-1]
    for extra in (1, 641, RATE):
        clips = [torch.full((1, 1, n_time + extra), fill) for _ in range(2)]
        for clip, sound in zip(clips, (a, b), strict=True):
            clip[0, 0, :n_time] = sound
        found = metric.distance(*clips, sample_rate=RATE, lengths=[n_time])
        assert found.tolist() == pytest.approx([alone], rel=BATCH_TOLERANCE)


def test_the_pieces_of_a_list(metric, tmp_path):
    """Scored whole, or in pieces that begin at batches: the same to the bit."""
    names = []
    for index, (a, b) in enumerate(PAIRS):
        names.append((str(tmp_path / f"a{index}.wav"), str(tmp_path / f"b{index}.wav")))
        for name, sound in zip(names[-1], (a, b), strict=True):
            signals.write(Path(name), sound)
    listed = [pairs.of_files(*both) for both in names]

    def scored(part):
        return [x for batch in scorer.score(part, metric, batch_size=2) for x in batch]

    whole = scored(listed)
    assert scored(listed[:2]) + scored(listed[2:]) == whole
    assert scored(listed[:4]) + scored(listed[4:]) == whole
    expected = [metric.distance(a, b) for a, b in names]
    assert [x.distance for x in whole] == pytest.approx(expected, rel=BATCH_TOLERANCE)


def test_being_asked_again(metric):
    assert values(metric) == values(metric)


def test_deterministic_algorithms(metric):
    expected = values(metric)
    try:
        torch.use_deterministic_algorithms(mode=True)
        found = values(metric)
        waveform = PAIRS[0][1].clone().requires_grad_()
        metric.distance(PAIRS[0][0], waveform, sample_rate=RATE).backward()
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert found == expected
    again = PAIRS[0][1].clone().requires_grad_()
    metric.distance(PAIRS[0][0], again, sample_rate=RATE).backward()
    assert waveform.grad is not None
    assert again.grad is not None
    assert torch.equal(waveform.grad, again.grad)


def test_the_number_of_threads(metric):
    before = torch.get_num_threads()
    found = {}
    try:
        for n_threads in (1, 2, 4):
            torch.set_num_threads(n_threads)
            found[n_threads] = values(metric, PAIRS[:2])
    finally:
        torch.set_num_threads(before)
    for n_threads in (2, 4):
        assert found[n_threads] == pytest.approx(found[1], rel=THREAD_TOLERANCE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; this has none")
def test_the_device(metric):
    expected = values(metric)
    found = values(pamt_metric.load(device="cuda"))
    assert found == pytest.approx(expected, rel=DEVICE_TOLERANCE)


@pytest.mark.slow
def test_the_process():
    """Another process, with hashes seeded otherwise, gives the same to the bit."""
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from tests.properties import test_trust as t\n"
        "print([x.hex() for x in t.values(t.pamt_metric.load(), t.PAIRS[:2])])\n"
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = [x.hex() for x in values(pamt_metric.load(), PAIRS[:2])]
    finally:
        torch.set_num_threads(before)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(expected)
