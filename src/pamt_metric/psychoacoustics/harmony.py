"""Harmony: which intervals sound together, and which follow each other, whatever the key.

A partial counts as far as it stands out of its surroundings. From the power spectrum, the amplitude
of each semitone p at time t, over the threshold of hearing and over the mean of the octave around
it,

    X(p, t) = max(0, A(p, t) - mean of A over p - 6 ... p + 6)

is folded to twelve pitch classes, in the bass and above it. How often one register has pitch class
c + k a time l after another has c, over all c and t,

    R_ij(k, l) = sum of X_i(c, t) X_j(c + k, t + l) / |X|^2

does not change with the key, hardly with tempo where the lags l are read with a width in
proportion, and little with the instruments, of which the octave and the mean take much away.

Small changes move it little. Nothing is a logarithm, a ratio within a frame or a small number blown
up: A is a norm of the spectrum, so that a perturbation moves the whole of it by about its own size,
whatever its shape. What masking hides need not be small: shaped like the masked threshold it can
have a quarter of the music's amplitude, and moves this as far. What outer and middle ear take away
is left in: at the level of listening partials are about as loud as they are large, and without it
nothing was recognised better.

Source: the autocorrelation of a chromagram over pitch and time holds what its two-dimensional
spectrum does, by which Bertin-Mahieux and Ellis (2012) look up cover songs; that a map which never
expands is stable under perturbations is the idea of scattering (Mallat, 2012).
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from pamt_metric.psychoacoustics.calibration import POWER_TO_INTENSITY
from pamt_metric.psychoacoustics.frames import SAMPLE_RATE
from pamt_metric.psychoacoustics.power_spectra import band_powers

WINDOW_LENGTH = 8192
"""Samples of a frame: 0.17 s, which tells semitones apart from 200 Hz on."""
HOP_LENGTH = 1920
"""Samples from one frame to the next."""
FRAME_RATE = SAMPLE_RATE / HOP_LENGTH
"""Frames a second: 25."""
PITCH_CLASSES = 12
LOWEST_HZ = 55.0
"""The lowest semitone: A, three octaves under 440 Hz."""
BASS_OCTAVES = 2
"""From the lowest pitch up to 220 Hz: what a bass plays."""
OCTAVES = 6
AROUND = 13
"""Semitones whose mean is the background of the middle one."""
LAGS_S = tuple(0.12 * 20.0 ** (i / 9) for i in range(10))
"""Between the two pitches of an interval; 0.12 to 2.4 s, and 0 before these."""
LAG_WIDTH = 0.16
"""Of each lag: standard deviation of its natural logarithm; a tempo within a fifth is the same."""
LAST_LAG = 65
"""Frames up to which lags are read."""
N_HARMONY = 3 * PITCH_CLASSES * (1 + len(LAGS_S))
"""Numbers of a clip: bass by bass, treble by treble and bass by treble, interval by lag."""
FLOOR = 1e-6
"""Size of what is heard of a clip, under which it counts as silent."""


class Harmony(nn.Module):
    """Clips at 48 kHz -> how often each interval sounds, by register and lag."""

    window: Tensor
    weight: Tensor
    lag_weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        # A sine of amplitude a then has power a^2 / 2 in the bins of its semitone.
        window = torch.hann_window(WINDOW_LENGTH)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        self.register_buffer("weight", _semitones(), persistent=False)
        self.register_buffer("lag_weight", _lag_weight(), persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch channel time"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch harmony"]:
        """Shares of the whole, between 0 and about 1; zeros for silence.

        Args:
            waveform: 48 kHz, at listening level, zeros beyond `lengths`.
            lengths: samples of each clip.
        """
        n_frame = _n_frames(lengths)
        inside = torch.arange(int(n_frame.max()), device=lengths.device) < n_frame[:, None]
        with torch.autocast(waveform.device.type, enabled=False):
            return self._intervals(self._registers(waveform, inside), n_frame)

    def _registers(
        self, waveform: Float[Tensor, "batch channel time"], inside: Bool[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch register pitch_class frame"]:
        power = band_powers(
            waveform,
            self.window.to(waveform.dtype),
            self.weight.to(waveform.dtype),
            start=-WINDOW_LENGTH // 2,
            hop=HOP_LENGTH,
            n_frame=inside.shape[1],
            first_bin=1,
        ).power.mean(1)
        # 1 is the threshold of hearing
        amplitude = (power * POWER_TO_INTENSITY + 1.0).sqrt() - 1.0
        background = functional.avg_pool1d(
            amplitude, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False
        )
        heard = (amplitude - background).clamp_min(0.0) * inside[..., None]
        octaves = heard.unflatten(-1, (OCTAVES, PITCH_CLASSES)).square()
        parts = [octaves[:, :, :BASS_OCTAVES].sum(2), octaves[:, :, BASS_OCTAVES:].sum(2)]
        return ((torch.stack(parts, dim=1) + FLOOR**2).sqrt() - FLOOR).transpose(2, 3)

    def _intervals(
        self,
        registers: Float[Tensor, "batch register pitch_class frame"],
        n_frame: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch harmony"]:
        # Correlation over a ring of pitch classes, and over time with zeros around.
        size = (PITCH_CLASSES, registers.shape[3] + LAST_LAG)
        spectrum = torch.fft.rfft2(registers, s=size)
        energy = registers.square().sum((1, 2, 3)) + FLOOR**2
        # What a lag leaves of a clip, by which its sum is smaller.
        lag = torch.arange(LAST_LAG, device=n_frame.device)
        left = (n_frame[:, None] - lag).clamp_min(0)
        share = torch.where(left > 0, n_frame[:, None] / left.clamp_min(1), 0.0)
        parts = []
        for first, second in ((0, 0), (1, 1), (0, 1)):
            product = spectrum[:, first].conj() * spectrum[:, second]
            found = torch.fft.irfft2(product, s=size)[..., :LAST_LAG]
            found = found * share[:, None].to(found.dtype)
            found = found / energy[:, None, None]
            parts.append((found @ self.lag_weight.to(found.dtype)).flatten(1))
        return torch.cat(parts, dim=1)


def _n_frames(lengths: Int64[Tensor, "batch"]) -> Int64[Tensor, "batch"]:
    """Frames whose centre lies inside a clip."""
    return torch.div(lengths - 1, HOP_LENGTH, rounding_mode="floor") + 1


def _semitones() -> Float[Tensor, "bin pitch"]:
    """What each bin gives to the power of each semitone: triangles a semitone wide to either side.

    In the bass, where the window is wider than a semitone, they are as wide as one bin.
    """
    n_pitch = OCTAVES * PITCH_CLASSES
    center = LOWEST_HZ * 2.0 ** (torch.arange(n_pitch, dtype=torch.float64) / PITCH_CLASSES)
    resolution = SAMPLE_RATE / WINDOW_LENGTH
    frequency = torch.arange(1, WINDOW_LENGTH // 2, dtype=torch.float64) * resolution
    width = (center * (2.0 ** (1.0 / PITCH_CLASSES) - 1.0)).clamp_min(resolution)
    triangle = (1.0 - (frequency[:, None] - center).abs() / width).clamp_min(0.0)
    # one-sided spectrum of a window of unit energy
    return (triangle * 2.0 / WINDOW_LENGTH).float()


def _lag_weight() -> Float[Tensor, "frame lag"]:
    """Reads lags in frames as 0 and `LAGS_S`, each with its neighbours."""
    log_lag = (torch.arange(1, LAST_LAG) / FRAME_RATE).log()
    columns = [functional.pad(torch.ones(1), (0, LAST_LAG - 1))]
    for lag in LAGS_S:
        near = torch.exp(-0.5 * ((log_lag - math.log(lag)) / LAG_WIDTH) ** 2)
        columns.append(functional.pad(near / near.sum(), (1, 0)))
    return torch.stack(columns, dim=1)
