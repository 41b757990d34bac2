"""Mean absolute difference of log-mel spectrograms (torchaudio's mel filterbank)."""

import sys

import numpy as np
import torch

from benchmarks import waveforms
from benchmarks.metrics import distribution, register, source_version
from benchmarks.waveforms import baseline_conditions

N_FFT = 2048
HOP_LENGTH = 512
N_MELS = 128
LOWEST_FREQUENCY = 20.0
# Added to the mel power before the logarithm: about -100 dB below a sound at the common RMS.
POWER_FLOOR = 1e-5


class LogMelL1:
    """Frames of 2048 samples every 512 at the pair's own rate, 128 bands, natural log of power."""

    name = "log-mel-l1"

    def __init__(self) -> None:
        self.implementation = distribution("torchaudio", extra="bench")
        self.version = source_version(
            sys.modules[__name__], waveforms, settings=self.implementation
        )
        self._mel: dict[int, torch.nn.Module] = {}

    def __call__(self, a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
        """Mean over bands and frames of |log mel(a) - log mel(b)|."""
        log_mel_a, log_mel_b = (self._log_mel(x, sample_rate) for x in baseline_conditions(a, b))
        return float((log_mel_a - log_mel_b).abs().mean())

    def _log_mel(self, waveform: np.ndarray, sample_rate: int) -> torch.Tensor:
        if sample_rate not in self._mel:
            import torchaudio

            self._mel[sample_rate] = torchaudio.transforms.MelSpectrogram(
                sample_rate,
                n_fft=N_FFT,
                hop_length=HOP_LENGTH,
                n_mels=N_MELS,
                f_min=LOWEST_FREQUENCY,
                pad_mode="constant",
            )
        return torch.log(self._mel[sample_rate](torch.from_numpy(waveform)) + POWER_FLOOR)


@register(LogMelL1.name)
def make_log_mel_l1(_argument: str | None) -> LogMelL1:
    """Takes no argument."""
    return LogMelL1()
