r"""The ear: from a waveform to named groups of psychoacoustic tokens, 75 frames a second.

    waveform -> components -> excitation -> specific loudness -> modulation, flux, interaural,
                          |                                      statistics
                          |-> presence
                          \-> masked threshold
                          \-> sub-frames -> onset, roughness
             \-> fine structure

Long clips run in chunks of frames, so that memory for spectra stays bounded; frames do not depend
on the chunk they were computed in.

The ear computes in the dtype of its buffers, single or double. Autocast does not reach it: powers
span 14 decades, of which bfloat16 keeps two digits, and in products of those the differences
between two clips would drown.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from pamt_metric.psychoacoustics import frames
from pamt_metric.psychoacoustics.excitation import Excitation
from pamt_metric.psychoacoustics.filterbank import SUB_FRAMES, Filterbank, by_band
from pamt_metric.psychoacoustics.fine_structure import FineStructure
from pamt_metric.psychoacoustics.flux import flux
from pamt_metric.psychoacoustics.interaural import interaural_cues
from pamt_metric.psychoacoustics.loudness import SpecificLoudness, binaural, total_loudness
from pamt_metric.psychoacoustics.masking import FORWARD_FRAMES, MaskedThreshold
from pamt_metric.psychoacoustics.modulation import MODULATION_RATES_HZ, ModulationFilterbank
from pamt_metric.psychoacoustics.onset import onsets
from pamt_metric.psychoacoustics.presence import presence
from pamt_metric.psychoacoustics.roughness import Roughness
from pamt_metric.psychoacoustics.scales import N_BANDS, N_REGIONS
from pamt_metric.psychoacoustics.statistics import N_STATISTICS, Summary, from_summary, summarize
from pamt_metric.psychoacoustics.tonality import MEMORY_FRAMES

CHUNK_FRAMES = 2250
"""Frames whose spectra are held at once: 30 s."""

WINDOW_FRAMES = 4
"""Frames that the longest window and its low passes reach beyond a chunk's last frame."""
LEAD_FRAMES = WINDOW_FRAMES + FORWARD_FRAMES + MEMORY_FRAMES
TAIL_FRAMES = MEMORY_FRAMES
"""Frames before and after a chunk that its masked threshold depends on."""
CONTEXT_FRAMES = 56
"""Frames before and after a run that its tokens depend on: 50 of the slowest modulation filter, and
the windows; roughness and masked threshold reach less far."""

TOKEN_GROUPS = {
    "loudness": N_BANDS,
    "threshold": N_BANDS,
    "modulation": N_REGIONS * len(MODULATION_RATES_HZ),
    "interaural": N_REGIONS * 2,
    "onset": N_REGIONS,
    "roughness": N_REGIONS,
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
        onset: steepest rise of loudness within the frame, in sone, by region.
        roughness: trembling between 20 and 150 Hz in asper, by region.
        flux: rise or fall of the root of loudness within 27 ms, by band.
        presence: share of a band that is its own sound, not what spreads to it, 0 to 1.
        fine: what is new in the fine structure, real and imaginary part, see `fine_structure.py`.
        statistics: whole-clip statistics, see `statistics.LAYOUT`.
        mask: True for the frames of the clip itself.
    """

    loudness: Float[Tensor, "batch frame band"]
    excitation: Float[Tensor, "batch frame band"]
    threshold: Float[Tensor, "batch frame band"]
    modulation: Float[Tensor, "batch frame region rate"]
    interaural: Float[Tensor, "batch frame region 2"]
    onset: Float[Tensor, "batch frame region"]
    roughness: Float[Tensor, "batch frame region"]
    flux: Float[Tensor, "batch frame band"]
    presence: Float[Tensor, "batch frame band"]
    fine: Float[Tensor, "batch frame fine 2"]
    statistics: Float[Tensor, "batch statistic"]
    mask: Bool[Tensor, "batch frame"]

    @property
    def lengths(self) -> Int64[Tensor, "batch"]:
        """Frames of each clip."""
        return self.mask.sum(1)

    def summary(self) -> Summary:
        """What the statistics need of these frames."""
        return summarize(
            self.mask,
            loudness=self.loudness,
            modulation=self.modulation,
            interaural=self.interaural,
            onset=self.onset,
            flux=self.flux,
            presence=self.presence,
            excitation=self.excitation,
            threshold=self.threshold,
        )

    def frames(self, start: int, stop: int) -> "EarTokens":
        """A run of frames."""
        by_frame = {
            field.name: getattr(self, field.name)[:, start:stop]
            for field in fields(self)
            if field.name != "statistics"
        }
        return replace(self, **by_frame)

    def at(
        self, index: Int64[Tensor, "batch step"], inside: Bool[Tensor, "batch step"]
    ) -> "EarTokens":
        """A frame of each clip for each step; frames beyond the clip where not `inside`."""
        names = [field.name for field in fields(self) if field.name not in ("statistics", "mask")]
        by_step = {name: frames.frames_at(getattr(self, name), index) for name in names}
        for name in set(names) - {"threshold"}:
            by_step[name] = by_step[name] * inside.reshape(
                *inside.shape, *[1] * (by_step[name].ndim - 2)
            )
        return replace(self, **by_step, mask=inside)

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
        if name in ("onset", "roughness"):
            return _compressed(getattr(self, name))
        raise KeyError(name)


class Ear(nn.Module):
    """The psychoacoustic model as one module; holds no trained parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.filterbank = Filterbank()
        self.excitation = Excitation()
        self.specific_loudness = SpecificLoudness()
        self.masked_threshold = MaskedThreshold()
        self.modulation = ModulationFilterbank()
        self.roughness = Roughness()
        self.fine_structure = FineStructure()

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
        with torch.autocast(waveform.device.type, enabled=False):
            tokens = self._tokens(waveform, mask)
            return replace(tokens, statistics=from_summary(tokens.summary()))

    def hear_part(
        self, waveform: Float[Tensor, "batch channel time"], mask: Bool[Tensor, "batch frame"]
    ) -> EarTokens:
        """Tokens of a run of frames of long clips, with no statistics.

        Frames nearer to the run's ends than `CONTEXT_FRAMES` are as in the whole clip only where
        the clip begins or ends with the run.

        Args:
            waveform: from the first frame's first sample on, `frames.HOP_LENGTH` a frame and
                `WINDOW_FRAMES` frames more, as far as the clip goes.
            mask: True for frames of the clip itself.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            return self._tokens(waveform, mask)

    def _tokens(
        self, waveform: Float[Tensor, "batch channel time"], mask: Bool[Tensor, "batch frame"]
    ) -> EarTokens:
        heard = self.hear(waveform, mask)
        per_ear = self.specific_loudness(heard.excitation)
        loudness = binaural(per_ear)
        excitation = heard.excitation.mean(1)
        return EarTokens(
            loudness=loudness,
            excitation=excitation,
            threshold=heard.threshold,
            modulation=self.modulation(loudness, mask),
            interaural=interaural_cues(per_ear, heard.power, heard.cross, mask),
            onset=onsets(heard.region, mask),
            roughness=self.roughness(heard.region, mask),
            flux=flux(loudness, mask),
            presence=presence(heard.power.mean(1), excitation),
            fine=heard.fine.unflatten(-1, (-1, 2)),
            statistics=loudness.new_zeros(len(mask), N_STATISTICS),
            mask=mask,
        )

    def hear(
        self, waveform: Float[Tensor, "batch channel time"], mask: Bool[Tensor, "batch frame"]
    ) -> "Heard":
        """Everything that needs spectra, in chunks of frames; zeros outside `mask`.

        Each chunk starts some frames early and ends some late and drops those: its parts see what
        lies before and after, as they would in one pass.
        """
        n_frame = mask.shape[1]
        if n_frame <= CHUNK_FRAMES:
            return self._hear_chunk(waveform, mask)
        chunks = []
        for start in range(0, n_frame, CHUNK_FRAMES):
            first = max(0, start - LEAD_FRAMES)
            count = min(CHUNK_FRAMES, n_frame - start)
            last = min(start + count + TAIL_FRAMES, n_frame)
            sample = first * frames.HOP_LENGTH
            stop = sample + (last - first + WINDOW_FRAMES) * frames.HOP_LENGTH
            chunk = self._hear_chunk(waveform[..., sample:stop], mask[:, first:last])
            chunks.append(chunk.frames(start - first, count))
        return Heard(*[torch.cat(parts, dim=-2) for parts in zip(*chunks, strict=True)])

    def _hear_chunk(
        self, waveform: Float[Tensor, "batch channel time"], mask: Bool[Tensor, "batch frame"]
    ) -> "Heard":
        components = self.filterbank(waveform, mask.shape[1])
        fine = self.fine_structure(components.quarter, mask.shape[1])
        inside = mask[..., None].to(waveform.dtype)
        power = components.power * inside[:, None]
        return Heard(
            excitation=self.excitation(power),
            power=by_band(power),
            cross=by_band(components.cross) * inside,
            threshold=self.masked_threshold(power.mean(1), mask),
            region=components.region * inside.repeat_interleave(SUB_FRAMES, dim=1),
            fine=fine.flatten(-2) * inside,
        )


class Heard(NamedTuple):
    """What needs spectra, by frame (`region`: by sub-frame)."""

    excitation: Float[Tensor, "batch channel frame band"]
    power: Float[Tensor, "batch channel frame band"]
    cross: Float[Tensor, "batch frame band"]
    threshold: Float[Tensor, "batch frame band"]
    region: Float[Tensor, "batch sub_frame region"]
    fine: Float[Tensor, "batch frame fine"]

    def frames(self, start: int, count: int) -> "Heard":
        """A run of frames."""
        return Heard(
            excitation=self.excitation.narrow(-2, start, count),
            power=self.power.narrow(-2, start, count),
            cross=self.cross.narrow(-2, start, count),
            threshold=self.threshold.narrow(-2, start, count),
            region=self.region.narrow(-2, SUB_FRAMES * start, SUB_FRAMES * count),
            fine=self.fine.narrow(-2, start, count),
        )


def _compressed(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Square root with a finite slope at 0: sone spread over two decades, near unit size."""
    return value / (value + 0.01).sqrt()
