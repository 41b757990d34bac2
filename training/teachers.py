"""The two teachers of masked pretraining: acoustic codes and a constant-Q spectrum.

As in MERT (Li et al. 2024), one teacher says what a frame sounds like (discrete codes) and one
which pitches it holds (a constant-Q spectrum), on the encoder's frames: frame t of a clip is
centred on its sample 200 + 320 t at 24 kHz. `training/targets.py` fits and keeps them.

A clip is scaled to unit RMS first: the encoder hears windows of unit variance and could not tell
a level that the teacher knows.

Sources:
    Li et al. 2024, "MERT: acoustic music understanding model with large-scale self-supervised
        training", ICLR. Departure: its acoustic teacher is EnCodec's residual quantiser; here it
        is a residual k-means on log-mel frames, which needs no foreign weights.
    Brown and Puckette 1992, "An efficient algorithm for the calculation of a constant Q
        transform", JASA 92(5).
"""

import math

import torch
import torchaudio
from torch import Tensor, nn

from pamt_metric.encoders.windows import HOP_LENGTH, MIN_SAMPLES

SAMPLE_RATE = 24000
FIRST_CENTER = MIN_SAMPLES // 2
"""Sample in the middle of the encoder's first frame, which is its receptive field."""

N_MELS = 80
MEL_N_FFT = 1024
CQT_N_BINS = 84
CQT_BINS_PER_OCTAVE = 12
CQT_LOWEST_HZ = 32.703
"""C1; the 84 bins reach B7, 3951 Hz."""

FLOOR_DB = -60.0
"""Dynamic range of both teachers, re a full-scale frame's share of a clip of unit RMS."""

_CHUNK_FRAMES = 512


def _frames(waveform: Tensor, length: int) -> Tensor:
    """Frames (..., frame, length) centred on the encoder's, as many as whole hops are given.

    Zeros stand before the beginning and after the end.
    """
    n_frames = waveform.shape[-1] // HOP_LENGTH
    before = length // 2 - FIRST_CENTER
    after = (n_frames - 1) * HOP_LENGTH + length - before - waveform.shape[-1]
    padded = nn.functional.pad(waveform, (before, after))
    return padded.unfold(-1, length, HOP_LENGTH)


def _decibels(power: Tensor, reference: float) -> Tensor:
    return 10 * torch.log10(power / reference + 10 ** (FLOOR_DB / 10))


class LogMel(nn.Module):
    """Log-mel spectrum in dB re a full-band sinusoid of unit RMS, floored softly at -60 dB."""

    mel: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        mel = torchaudio.functional.melscale_fbanks(
            MEL_N_FFT // 2 + 1, 20.0, SAMPLE_RATE / 2, N_MELS, SAMPLE_RATE
        )
        window = torch.hann_window(MEL_N_FFT)
        self.register_buffer("mel", mel, persistent=False)
        # A sinusoid of unit RMS peaks at |X|^2 = (sum(window) / sqrt(2))^2.
        self.register_buffer("window", window * math.sqrt(2) / window.sum(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (..., time) to (..., frame, mel)."""
        spectrum = torch.fft.rfft(_frames(waveform, MEL_N_FFT) * self.window)
        return _decibels(spectrum.abs().square() @ self.mel, 1.0)


class ConstantQ(nn.Module):
    """Constant-Q magnitudes in dB re a sinusoid of unit RMS, floored softly at -60 dB.

    Bin k at f_k = f_0 2^(k/12) correlates the frame with a Hann-windowed complex sinusoid of
    N_k = Q f_s / f_k samples, Q = 1 / (2^(1/12) - 1), all centred on the frame's middle
    (Brown 1991, eqs. 2-5). By Parseval's relation the correlation is a product with the kernel's
    spectrum (Brown & Puckette 1992, eqs. 3-5):

        X[k] = sum_n x[n] K*[n, k] = 1/N sum_m X_fft[m] K_fft*[m, k]

    which is nearly zero away from f_k: FFT bins well above the highest kernel are left out.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        quality = 1 / (2 ** (1 / CQT_BINS_PER_OCTAVE) - 1)
        frequency = CQT_LOWEST_HZ * 2 ** (torch.arange(CQT_N_BINS).double() / CQT_BINS_PER_OCTAVE)
        lengths = quality * SAMPLE_RATE / frequency
        self.n_fft = 2 ** math.ceil(math.log2(lengths.max().item()))
        time = torch.arange(self.n_fft).double() - self.n_fft // 2
        inside = time.abs() <= lengths[:, None] / 2
        window = inside * (0.5 + 0.5 * torch.cos(2 * math.pi * time / lengths[:, None]))
        # A sinusoid of unit RMS has amplitude sqrt(2), half of it at the positive frequency.
        window = window * math.sqrt(2) / window.sum(-1, keepdim=True)
        phase = 2 * math.pi * frequency[:, None] / SAMPLE_RATE * time
        kernel = torch.fft.fft(torch.polar(window, phase)).conj() / self.n_fft
        # Hann's main lobe is 2 FFT bins of its own length wide: 2 f_k / Q on each side.
        n_kept = math.ceil(frequency[-1].item() * (1 + 3 / quality) / SAMPLE_RATE * self.n_fft)
        kept = kernel[:, :n_kept].T.to(torch.complex64)
        self.register_buffer("kernel", kept.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (..., time) to (..., frame, bin)."""
        parts = [
            torch.fft.rfft(frames)[..., : self.kernel.shape[0]] @ self.kernel
            for frames in _frames(waveform, self.n_fft).split(_CHUNK_FRAMES, dim=-2)
        ]
        return _decibels(torch.cat(parts, dim=-2).abs().square(), 1.0)


class ResidualKMeans(nn.Module):
    """A quantiser of several stages, each k-means on what the stages before left over."""

    centroids: Tensor

    def __init__(self, n_codebooks: int, n_centroids: int, width: int) -> None:
        super().__init__()
        self.register_buffer("centroids", torch.zeros(n_codebooks, n_centroids, width))

    def fit(self, features: Tensor, *, n_iterations: int, seed: int) -> None:
        """Lloyd's algorithm from random frames (frame, width); an empty cell takes a new frame."""
        generator = torch.Generator().manual_seed(seed)
        residual = features
        n_centroids = self.centroids.shape[1]
        for stage in range(self.centroids.shape[0]):
            chosen = torch.randperm(len(residual), generator=generator)[:n_centroids]
            centroids = residual[chosen].clone()
            for _ in range(n_iterations):
                nearest = _nearest(residual, centroids)
                count = torch.bincount(nearest, minlength=n_centroids)
                total = torch.zeros_like(centroids).index_add_(0, nearest, residual)
                fresh = torch.randint(len(residual), (n_centroids,), generator=generator)
                centroids = torch.where(
                    count[:, None] > 0, total / count.clamp(min=1)[:, None], residual[fresh]
                )
            self.centroids[stage] = centroids
            residual = residual - centroids[_nearest(residual, centroids)]

    def forward(self, features: Tensor) -> Tensor:
        """Features (frame, width) to codes (frame, codebook), int64."""
        residual, codes = features, []
        for centroids in self.centroids:
            codes.append(_nearest(residual, centroids))
            residual = residual - centroids[codes[-1]]
        return torch.stack(codes, dim=-1)


def _nearest(features: Tensor, centroids: Tensor) -> Tensor:
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 does not move the minimum.
    distance = torch.addmm(centroids.square().sum(-1), features, centroids.T, alpha=-2)
    return distance.argmin(-1)


def unit_rms(waveform: Tensor) -> Tensor:
    """The waveform at a root mean square of 1; silence stays silent."""
    return waveform / waveform.square().mean().sqrt().clamp(min=1e-5)
