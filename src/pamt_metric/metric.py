"""The metric: ear, encoder and head put together, from two sounds to one distance."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint as rerun

from pamt_metric import audio, long_pair, recording
from pamt_metric.alignment import Pair, cut_pair, find_lag
from pamt_metric.audio import AudioBatch, AudioSource
from pamt_metric.clip_pair import ClipPair, Lengths, Side, split_lengths
from pamt_metric.comparison import Comparison, Fit, ModelInfo, compare_item
from pamt_metric.distance import PairDistance
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError, InputError
from pamt_metric.evidence import Encoded
from pamt_metric.head import SequenceHead
from pamt_metric.input_check import check_choice
from pamt_metric.long_clip import Sound, program_loudness
from pamt_metric.long_pair import LongPair
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FRAME_RATE, SAMPLE_RATE, n_frames
from pamt_metric.psychoacoustics.harmony import Harmony
from pamt_metric.psychoacoustics.program_loudness import ProgramLoudness
from pamt_metric.recording import Source
from pamt_metric.threads import AtOnce, side_by_side
from pamt_metric.warping import Warp, too_long, warp

if TYPE_CHECKING:  # what a caller should give
    Level = Literal["match", "absolute"]
    Align = Literal["auto", "none", "dtw"]
    Kind = Literal["sound", "harmony"]
else:  # what may come: another word is answered with the choices in the message
    Level = Align = Kind = Any

ALIGNMENTS = ("auto", "none", "dtw")
"""Choices of `align`."""
LISTENING_LEVEL_LUFS = -23.0
"""Loudness at which matched clips are heard (EBU R 128); about 77 dB SPL in this calibration."""
UNTRAINED = ModelInfo(name="untrained", version="", sha256="")


class Metric(nn.Module):
    """A perceptual distance for music.

    Args:
        encoder: the frozen music encoder.
        head: the conditioned head, built for this encoder's width and layers.
        pair: how evidence becomes a distance.
        info: which model this is; goes into every `Comparison`.

    Raises:
        ConfigError: the encoder's frames do not lie on the ear's.
    """

    def __init__(
        self,
        encoder: MertEncoder,
        head: SequenceHead,
        *,
        pair: PairDistance | None = None,
        info: ModelInfo = UNTRAINED,
    ) -> None:
        super().__init__()
        if encoder.frame_rate != FRAME_RATE:
            raise ConfigError(
                f"the encoder gives {encoder.frame_rate:g} frames/s at {encoder.sample_rate} Hz, "
                f"the ear {FRAME_RATE:g}: a metric needs an encoder at 24000 Hz, such as MERT v1 "
                "(MERT v0 has 16000; MertEncoder alone runs it)"
            )
        self.ear = Ear()
        self.program_loudness = ProgramLoudness()
        self.harmony = Harmony()
        self.encoder = encoder
        self.head = head
        self.pair = PairDistance() if pair is None else pair
        self.info = info

    def distance(
        self,
        a: Source,
        b: Source,
        *,
        sample_rate: int | None = None,
        lengths: Lengths | tuple[Lengths, Lengths] = None,
        level: Level = "match",
        align: Align = "auto",
    ) -> float | Float[Tensor, "*batch"]:
        """How different two clips sound, in just-noticeable differences.

        Args:
            a: path, file object, array or tensor, `(time,)`, `(channel, time)` or
                `(batch, channel, time)`, or a list of such clips.
            b: the same; a single clip is compared with every clip of a batch.
            sample_rate: of arrays and tensors, in Hz; files carry their own.
            lengths: valid samples of each clip of a padded batch, for both or as a pair.
            level: `"match"` hears both at the same loudness (ITU-R BS.1770), `"absolute"` as they
                are, a full-scale sine being 100 dB SPL.
            align: `"auto"` takes out one lag of up to half a second where both are the same
                content, `"none"` compares sample by sample, `"dtw"` follows another tempo: each
                frame is compared with the one that it matches best in turn, up to twice as fast or
                slow (`warping`), in clips of up to 60 s.

        Returns:
            0 for the same, larger for more different. A float for one pair; a tensor `(batch,)`
            for a batch; a tensor with its graph where an input requires a gradient.

        Raises:
            InputError: the audio or an argument cannot be used; the message says why.
        """
        with _grad_only_for(a, b), side_by_side(self._device) as both:
            check_choice("level", level, ("match", "absolute"))
            check_choice("align", align, ALIGNMENTS)
            clips = self._load_pair(a, b, sample_rate, lengths)
            _check_warped(clips, align)
            if clips.is_long and not torch.is_grad_enabled():
                items = range(len(clips))
                pairs = (self._long_pair(both, clips, item, level, align)[0] for item in items)
                value = torch.cat([pair.distance(self.pair, both) for pair in pairs])
            else:
                pair = self._prepare_pair(both, clips, level, align)
                value = self.pair(pair.encoded_a, pair.encoded_b, pair.duration)
        if clips.is_batch:
            return value
        return value[0] if value.requires_grad else value.item()

    def compare(
        self,
        a: Source,
        b: Source,
        *,
        sample_rate: int | None = None,
        lengths: Lengths | tuple[Lengths, Lengths] = None,
        level: Level = "match",
        align: Align = "auto",
    ) -> Comparison | list[Comparison]:
        """Compare a reference `a` with a test `b` in detail; arguments as for `distance`.

        Returns:
            One `Comparison`, or a list of them for a batch.

        Raises:
            InputError: the audio or an argument cannot be used; the message says why.
        """
        with torch.no_grad(), side_by_side(self._device) as both:
            check_choice("level", level, ("match", "absolute"))
            check_choice("align", align, ALIGNMENTS)
            clips = self._load_pair(a, b, sample_rate, lengths)
            _check_warped(clips, align)
            if clips.is_long:
                items = range(len(clips))
                rows = [self._compare_long(both, clips, item, level, align) for item in items]
            else:
                pair = self._prepare_pair(both, clips, level, align)
                rows = self._comparisons(pair)
        return rows if clips.is_batch else rows[0]

    def embed(
        self,
        x: AudioSource,
        *,
        sample_rate: int | None = None,
        lengths: Lengths = None,
        level: Level = "match",
        sequence: bool = False,
        kind: Kind = "sound",
    ) -> Float[Tensor, "*batch dim"] | tuple[Tensor, Tensor]:
        """Embedding of a clip or a batch.

        Args:
            x: as for `distance`.
            sample_rate: of an array or a tensor, in Hz.
            lengths: valid samples of each clip of a padded batch.
            level: as for `distance`.
            sequence: also return the embedding of every frame, `(frame, dim)` at 75 frames a
                second (`(batch, frame, dim)` with zeros beyond a clip's end).
            kind: `"sound"`, how it sounds: the content part of a distance is taken between these.
                `"harmony"`, which intervals sound and follow each other in whatever key, by
                whatever instruments: to find versions of a piece or to tell styles. Perturbations
                30 dB under the music and more move it little (`psychoacoustics.harmony`).

        Returns:
            `(dim,)` for a clip, `(batch, dim)` for a batch, on the metric's device: of sound as the
            head has it (174 for pamt-mini), of harmony 396. With `sequence`, that and the frames.

        Raises:
            InputError: the audio or an argument cannot be used; the message says why.
        """
        check_choice("level", level, ("match", "absolute"))
        check_choice("kind", kind, ("sound", "harmony"))
        if sequence and kind == "harmony":
            raise InputError(
                "sequence=True needs kind='sound': a harmony embedding is of the whole clip, since "
                "it counts intervals over time"
            )
        with _grad_only_for(x):
            clips = self._load(x, sample_rate, lengths)
            waveform, _, _ = self.to_listening_level(clips.waveform, clips.lengths, level)
            if kind == "harmony":
                harmony = self.harmony(waveform, clips.lengths)
                return harmony if clips.is_batch else harmony[0]
            embedding = self.encode(waveform, clips.lengths).embedding
        parts = [embedding.pooled, embedding.sequence]
        pooled, frames = parts if clips.is_batch else [part[0] for part in parts]
        return (pooled, frames) if sequence else pooled

    def encode(
        self,
        waveform: Float[Tensor, "batch channel time"],
        lengths: Int64[Tensor, "batch"],
        *,
        n_frame: int | None = None,
        checkpoint: bool = False,
    ) -> Encoded:
        """What ear and head make of clips at 48 kHz, as they are, zeros beyond `lengths`.

        With `checkpoint`, ear, encoder and head each run again in the backward pass, so that the
        graph of only one of them is in memory at a time.
        """
        again = partial(rerun, use_reentrant=False, preserve_rng_state=False)
        run = cast("Callable[..., Any]", again if checkpoint else _call)
        tokens = run(self.ear, waveform, lengths, n_frame=n_frame)
        states = run(self.hidden_states, waveform, lengths)
        missing = tokens.mask.shape[1] - states.shape[2]
        if missing:
            states = functional.pad(states, (0, 0, 0, missing))
        return Encoded(tokens=tokens, embedding=run(self.head, states, tokens))

    def hidden_states(
        self, waveform: Float[Tensor, "batch channel time"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch layer frame width"]:
        """The encoder's hidden states that the head reads, of the mono downmix of 48 kHz clips."""
        mono = audio.resample(waveform.mean(1), SAMPLE_RATE, self.encoder.sample_rate)
        halved = torch.div(lengths + 1, 2, rounding_mode="floor")
        return self.encoder(mono, halved, layers=self.head.encoder_layers)

    def to_listening_level(
        self,
        waveform: Float[Tensor, "batch channel time"],
        lengths: Int64[Tensor, "batch"],
        level: Level,
    ) -> tuple[Float[Tensor, "batch channel time"], Float[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The clips at their listening level, the gain in dB this took, and whether any applied."""
        if level == "absolute":
            none = waveform.new_zeros(waveform.shape[0])
            return waveform, none, none.bool()
        # A mono clip is heard with both ears, as two equal channels are.
        heard = waveform.expand(-1, 2, -1) if waveform.shape[1] == 1 else waveform
        loudness, audible = self.program_loudness(heard, lengths)
        gain_db = _listening_gain(loudness, audible)
        return waveform * (10.0 ** (gain_db / 20.0))[:, None, None], gain_db, audible

    @property
    def _device(self) -> torch.device:
        return next(self.head.parameters()).device

    def _load(self, source: AudioSource, sample_rate: int | None, lengths: Lengths) -> AudioBatch:
        clips = audio.load(
            source, sample_rate=sample_rate, target_rate=SAMPLE_RATE, lengths=lengths
        )
        return self._placed(clips)

    def _open(self, source: Source, sample_rate: int | None, lengths: Lengths) -> Side:
        clips = recording.load(
            source, sample_rate=sample_rate, target_rate=SAMPLE_RATE, lengths=lengths
        )
        return self._placed(clips) if isinstance(clips, AudioBatch) else clips

    def _placed(self, clips: AudioBatch) -> AudioBatch:
        """As the model takes them."""
        parameter = next(self.head.parameters())
        return AudioBatch(
            waveform=clips.waveform.to(parameter),
            lengths=clips.lengths.to(parameter.device),
            sample_rate=clips.sample_rate,
            is_batch=clips.is_batch,
        )

    def _load_pair(
        self,
        a: Source,
        b: Source,
        sample_rate: int | None,
        lengths: Lengths | tuple[Lengths, Lengths],
    ) -> ClipPair:
        # A gradient takes the whole clip at once.
        whole = cast("Callable[..., Side]", self._load)
        load = whole if torch.is_grad_enabled() else self._open
        lengths_a, lengths_b = split_lengths(lengths)
        return ClipPair(load(a, sample_rate, lengths_a), load(b, sample_rate, lengths_b))

    def _prepare_pair(self, both: AtOnce, clips: ClipPair, level: Level, align: Align) -> "_Pair":
        clips_a, clips_b = clips.batches()
        (wave_a, gain_a, matched_a), (wave_b, gain_b, matched_b) = both(
            partial(self.to_listening_level, clips_a.waveform, clips_a.lengths, level),
            partial(self.to_listening_level, clips_b.waveform, clips_b.lengths, level),
        )
        lag = torch.zeros_like(clips_a.lengths)
        if align == "auto":
            mono = wave_a.mean(1), wave_b.mean(1)
            lag = find_lag(*mono, clips_a.lengths, clips_b.lengths, both=both)
        cut = cut_pair(Pair(wave_a, wave_b, clips_a.lengths, clips_b.lengths), lag)
        shared = torch.minimum(cut.lengths_a, cut.lengths_b)
        coverage = 2.0 * shared / (clips_a.lengths + clips_b.lengths)
        n_frame = int(n_frames(torch.maximum(cut.lengths_a, cut.lengths_b)).max())
        encoded_a, encoded_b = both(
            partial(self.encode, cut.a, cut.lengths_a, n_frame=n_frame),
            partial(self.encode, cut.b, cut.lengths_b, n_frame=n_frame),
        )
        path = None
        if align == "dtw":
            path = warp(encoded_a.tokens, encoded_b.tokens)
            encoded_a, encoded_b = path.apply(encoded_a, encoded_b)
            coverage = torch.ones_like(coverage)
        return _Pair(
            encoded_a=encoded_a,
            encoded_b=encoded_b,
            lag=lag,
            gain_db=torch.where(matched_a & matched_b, gain_b - gain_a, 0.0),
            coverage=coverage,
            warp=path,
        )

    def _long_pair(
        self, both: AtOnce, clips: ClipPair, item: int, level: Level, align: Align
    ) -> tuple[LongPair, Fit]:
        recordings = clips.recordings(item)
        n_channels = max(recording.n_channels for recording in recordings)
        like = next(self.head.parameters())
        sounds = [Sound(x, n_channels, like, length=x.length) for x in recordings]
        (a, gain_a), (b, gain_b) = both(
            *[partial(self._sound_at_level, sound, level) for sound in sounds]
        )
        lag = long_pair.find_lag(a, b) if align == "auto" else 0
        cut_a, cut_b = long_pair.cut_to_lag(a, b, lag)
        fit = Fit(
            lag=lag,
            gain_db=0.0 if gain_a is None or gain_b is None else gain_b - gain_a,
            coverage=2.0 * min(cut_a.length, cut_b.length) / (a.length + b.length),
        )
        return LongPair(self, cut_a, cut_b), fit

    def _sound_at_level(self, sound: Sound, level: Level) -> tuple[Sound, float | None]:
        """A long clip at its listening level, and the gain in dB that this took, if it took one."""
        if level == "absolute":
            return sound, None
        loudness, audible = program_loudness(self.program_loudness, sound)
        gain_db = _listening_gain(loudness, audible)
        louder = replace(sound, gain=10.0 ** (gain_db / 20.0))
        return louder, gain_db.item() if audible else None

    def _compare_long(
        self, both: AtOnce, clips: ClipPair, item: int, level: Level, align: Align
    ) -> Comparison:
        pair, fit = self._long_pair(both, clips, item, level, align)
        return compare_item(
            pair.explain(self.pair, both),
            0,
            n_frame=pair.n_frame,
            fit=fit,
            audible=pair.audible(),
            model=self.info,
        )

    def _comparisons(self, pair: "_Pair") -> list[Comparison]:
        evidence = self.pair.explain(pair.encoded_a, pair.encoded_b, pair.duration)
        tokens = pair.encoded_a.tokens, pair.encoded_b.tokens
        n_frame = (tokens[0].mask | tokens[1].mask).sum(1).tolist()
        if pair.warp is not None:
            evidence = replace(evidence, band_map=pair.warp.on_first(evidence.band_map))
            n_frame = (pair.warp.index_a.amax(1) + 1).tolist()
        return [
            compare_item(
                evidence,
                item,
                n_frame=count,
                fit=Fit(
                    lag=int(pair.lag[item]),
                    gain_db=pair.gain_db[item].item(),
                    coverage=pair.coverage[item].item(),
                    warp=None if pair.warp is None else pair.warp.times(item).cpu(),
                ),
                audible=[bool(side.loudness[item].any()) for side in tokens],
                model=self.info,
            )
            for item, count in enumerate(n_frame)
        ]


@dataclass(frozen=True)
class _Pair:
    """Two encoded batches and what was done to bring them together."""

    encoded_a: Encoded
    encoded_b: Encoded
    lag: Int64[Tensor, "batch"]
    gain_db: Float[Tensor, "batch"]
    coverage: Float[Tensor, "batch"]
    warp: Warp | None

    @property
    def duration(self) -> Float[Tensor, "batch step"] | None:
        """How much time each frame stands for; None where all stand for the same."""
        return None if self.warp is None else self.warp.weight


def _check_warped(clips: ClipPair, align: Align) -> None:
    if align == "dtw" and clips.is_long:
        raise too_long()


def _call(part: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return part(*args, **options)


def _listening_gain(
    loudness: Float[Tensor, "batch"], audible: Bool[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    """In dB. What is too quiet to have a loudness stays as it is: silence must not become noise."""
    return torch.where(audible, LISTENING_LEVEL_LUFS - loudness, 0.0)


def _grad_only_for(*sources: Source) -> AbstractContextManager:
    """Build a graph only where a caller's tensor asks for one."""
    wanted = any(isinstance(s, Tensor) and s.requires_grad for s in _flat(sources))
    return nullcontext() if wanted and torch.is_grad_enabled() else torch.no_grad()


def _flat(sources: Sequence[Source]) -> list[Source]:
    return [
        item
        for source in sources
        for item in (_flat(source) if isinstance(source, (list, tuple)) else [source])
    ]
