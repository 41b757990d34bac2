r"""The ear: from a waveform to named groups of psychoacoustic tokens, 75 frames a second.

    waveform -> filterbank -> excitation -> specific loudness -> modulation, interaural, statistics
                                        \-> masked threshold

Long clips run in chunks of frames, so that memory for spectra stays bounded; frames do not depend
on the chunk they were computed in.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from pamt_metric.psychoacoustics import frames
from pamt_metric.psychoacoustics.filterbank import Filterbank
from pamt_metric.psychoacoustics.interaural import interaural_cues
from pamt_metric.psychoacoustics.loudness import SpecificLoudness, binaural, total_loudness
from pamt_metric.psychoacoustics.masking import MaskedThreshold
from pamt_metric.psychoacoustics.modulation import (
    MODULATION_RATES_HZ,
    N_REGIONS,
    ModulationFilterbank,
)
from pamt_metric.psychoacoustics.scales import N_BANDS
from pamt_metric.psychoacoustics.statistics import clip_statistics

CHUNK_FRAMES = 2250
"""Frames whose spectra are held at once: 30 s."""

TOKEN_GROUPS = {
    "loudness": N_BANDS,
    "threshold": N_BANDS,
    "modulation": N_REGIONS * len(MODULATION_RATES_HZ),
    "interaural": N_REGIONS * 2,
}
"""Name and width of each group of per-frame tokens that a head can be conditioned on."""


@dataclass(frozen=True)
class EarTokens:
    """What the ear makes of a batch of clips. Frames beyond a clip's end hold exact zeros.

    Attributes:
        loudness: specific loudness of both ears, sone per Cam.
        excitation: intensity re 0 dB SPL at the cochlea, mean of both ears.
        threshold: masked threshold in the unit of excitation (not zero beyond the clip's end:
            there it is the threshold of hearing).
        modulation: modulation magnitude in sone, by region of five bands and rate.
        interaural: level difference and coherence, by region.
        statistics: whole-clip statistics, see `statistics.LAYOUT`.
        mask: True for the frames of the clip itself.
    """

    loudness: Float[Tensor, "batch frame band"]
    excitation: Float[Tensor, "batch frame band"]
    threshold: Float[Tensor, "batch frame band"]
    modulation: Float[Tensor, "batch frame region rate"]
    interaural: Float[Tensor, "batch frame region 2"]
    statistics: Float[Tensor, "batch statistic"]
    mask: Bool[Tensor, "batch frame"]

    @property
    def lengths(self) -> Int64[Tensor, "batch"]:
        """Frames of each clip."""
        return self.mask.sum(1)

    def audible_loudness(self) -> Float[Tensor, "batch frame"]:
        """Loudness in sone, counting each band by how far it rises over the masked threshold."""
        share = self.excitation / (self.excitation + self.threshold)
        return total_loudness(self.loudness * share)

    def group(self, name: str) -> Float[Tensor, "batch frame feature"]:
        """One token group, scaled to about unit size; `TOKEN_GROUPS` gives names and widths."""
        if name == "loudness":
            return _compressed(self.loudness)
        if name == "threshold":
            return 0.02 * (self.threshold + 1.0).log() * self.mask[..., None]
        if name == "modulation":
            return _compressed(self.modulation.flatten(2))
        if name == "interaural":
            return self.interaural.flatten(2)
        raise KeyError(name)


class Ear(nn.Module):
    """The psychoacoustic model as one module; holds no trained parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.filterbank = Filterbank()
        self.specific_loudness = SpecificLoudness()
        self.masked_threshold = MaskedThreshold()
        self.modulation = ModulationFilterbank()

    def forward(
        self,
        waveform: Float[Tensor, "batch channel time"],
        lengths: Int64[Tensor, "batch"],
        *,
        n_frame: int | None = None,
    ) -> EarTokens:
        """Tokens of a batch of clips.

        Args:
            waveform: one or two channels at 48 kHz, zeros beyond each clip's length.
            lengths: samples of each clip.
            n_frame: frames to return, at least those of the longest clip (the default).
        """
        length = frames.n_frames(lengths)
        n_frame = int(length.max()) if n_frame is None else n_frame
        mask = frames.frame_mask(length, n_frame)
        excitation, cross = self._excitation(waveform, n_frame)
        excitation = excitation * mask[:, None, :, None]
        per_ear = self.specific_loudness(excitation)
        loudness = binaural(per_ear)
        both = excitation.mean(1)
        modulation = self.modulation(loudness) * mask[..., None, None]
        interaural = interaural_cues(per_ear, excitation, cross * mask[..., None])
        return EarTokens(
            loudness=loudness,
            excitation=both,
            threshold=self.masked_threshold(both),
            modulation=modulation,
            interaural=interaural,
            statistics=clip_statistics(loudness, modulation, interaural, mask),
            mask=mask,
        )

    def _excitation(
        self, waveform: Float[Tensor, "batch channel time"], n_frame: int
    ) -> tuple[Float[Tensor, "batch channel frame band"], Float[Tensor, "batch frame band"]]:
        if n_frame <= CHUNK_FRAMES:
            return self.filterbank(waveform, n_frame)
        chunks = []
        # Each chunk starts a whole window early and drops those frames: the filterbank sees what
        # lies before, as it would in one pass.
        lead = 4
        for start in range(0, n_frame, CHUNK_FRAMES):
            early = min(lead, start)
            count = min(CHUNK_FRAMES, n_frame - start)
            sample = (start - early) * frames.HOP_LENGTH
            stop = sample + (early + count + lead) * frames.HOP_LENGTH
            power, cross = self.filterbank(waveform[..., sample:stop], early + count)
            chunks.append((power[:, :, early:], cross[:, early:]))
        return torch.cat([p for p, _ in chunks], dim=2), torch.cat([c for _, c in chunks], dim=1)


def _compressed(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Square root with a finite slope at 0: sone spread over two decades, near unit size."""
    return value / (value + 0.01).sqrt()
