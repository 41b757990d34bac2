"""The metric: ear, encoder and head put together, from two sounds to one distance."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint as rerun

from pamt_metric import audio
from pamt_metric.alignment import Pair, cut_pair, find_lag
from pamt_metric.audio import AudioBatch, AudioSource
from pamt_metric.comparison import Comparison, ModelInfo, chunk_interval, p_audible
from pamt_metric.distance import PairDistance, PairEvidence
from pamt_metric.encoders.mert import MertEncoder
from pamt_metric.errors import ConfigError, InputError
from pamt_metric.evidence import Encoded
from pamt_metric.head import SequenceHead
from pamt_metric.input_check import check_choice
from pamt_metric.psychoacoustics import Ear
from pamt_metric.psychoacoustics.frames import FRAME_RATE, SAMPLE_RATE, n_frames
from pamt_metric.psychoacoustics.program_loudness import ProgramLoudness
from pamt_metric.threads import AtOnce, side_by_side

if TYPE_CHECKING:  # what a caller should give
    Level = Literal["match", "absolute"]
    Align = Literal["auto", "none"]
else:  # what may come: another word is answered with the choices in the message
    Level = Align = Any
Lengths = Tensor | Sequence[int] | None

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
        self.encoder = encoder
        self.head = head
        self.pair = PairDistance() if pair is None else pair
        self.info = info

    def distance(
        self,
        a: AudioSource,
        b: AudioSource,
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
                content, `"none"` compares sample by sample.

        Returns:
            0 for the same, larger for more different. A float for one pair; a tensor `(batch,)`
            for a batch; a tensor with its graph where an input requires a gradient.

        Raises:
            InputError: the audio or an argument cannot be used; the message says why.
        """
        with _grad_only_for(a, b), side_by_side(self._device) as both:
            pair = self._prepare_pair(both, a, b, sample_rate, lengths, level, align)
            value = self.pair(pair.encoded_a, pair.encoded_b)
        if pair.is_batch:
            return value
        return value[0] if value.requires_grad else value.item()

    def compare(
        self,
        a: AudioSource,
        b: AudioSource,
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
            pair = self._prepare_pair(both, a, b, sample_rate, lengths, level, align)
            evidence = self.pair.explain(pair.encoded_a, pair.encoded_b)
        rows = [self._comparison(pair, evidence, item) for item in range(pair.gain_db.shape[0])]
        return rows if pair.is_batch else rows[0]

    def embed(
        self,
        x: AudioSource,
        *,
        sample_rate: int | None = None,
        lengths: Lengths = None,
        level: Level = "match",
        sequence: bool = False,
    ) -> Float[Tensor, "*batch dim"] | tuple[Tensor, Tensor]:
        """Embedding of a clip or a batch; the content part of a distance is taken between these.

        Args:
            x: as for `distance`.
            sample_rate: of an array or a tensor, in Hz.
            lengths: valid samples of each clip of a padded batch.
            level: as for `distance`.
            sequence: also return the embedding of every frame, `(frame, dim)` at 75 frames a
                second (`(batch, frame, dim)` with zeros beyond a clip's end).

        Raises:
            InputError: the audio or an argument cannot be used; the message says why.
        """
        check_choice("level", level, ("match", "absolute"))
        with _grad_only_for(x):
            clips = self._load(x, sample_rate, lengths)
            waveform, _, _ = self.to_listening_level(clips.waveform, clips.lengths, level)
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
        # What is too quiet to have a loudness stays as it is: silence must not become noise.
        gain_db = torch.where(audible, LISTENING_LEVEL_LUFS - loudness, 0.0)
        return waveform * (10.0 ** (gain_db / 20.0))[:, None, None], gain_db, audible

    @property
    def _device(self) -> torch.device:
        return next(self.head.parameters()).device

    def _load(self, source: AudioSource, sample_rate: int | None, lengths: Lengths) -> AudioBatch:
        clips = audio.load(
            source, sample_rate=sample_rate, target_rate=SAMPLE_RATE, lengths=lengths
        )
        parameter = next(self.head.parameters())
        return AudioBatch(
            waveform=clips.waveform.to(parameter),
            lengths=clips.lengths.to(parameter.device),
            sample_rate=clips.sample_rate,
            is_batch=clips.is_batch,
        )

    def _prepare_pair(  # noqa: PLR0917 (the two public methods' own arguments)
        self,
        both: AtOnce,
        a: AudioSource,
        b: AudioSource,
        sample_rate: int | None,
        lengths: Lengths | tuple[Lengths, Lengths],
        level: Level,
        align: Align,
    ) -> "_Pair":
        check_choice("level", level, ("match", "absolute"))
        check_choice("align", align, ("auto", "none"))
        lengths_a, lengths_b = _split_lengths(lengths)
        clips_a, clips_b = audio.match_channels(
            self._load(a, sample_rate, lengths_a), self._load(b, sample_rate, lengths_b)
        )
        is_batch = clips_a.is_batch or clips_b.is_batch
        clips_a, clips_b = _broadcast(clips_a, clips_b)
        (wave_a, gain_a, matched_a), (wave_b, gain_b, matched_b) = both(
            partial(self.to_listening_level, clips_a.waveform, clips_a.lengths, level),
            partial(self.to_listening_level, clips_b.waveform, clips_b.lengths, level),
        )
        lag = torch.zeros_like(clips_a.lengths)
        if align == "auto":
            lag = find_lag(wave_a.mean(1), wave_b.mean(1), clips_a.lengths, clips_b.lengths)
        cut = cut_pair(Pair(wave_a, wave_b, clips_a.lengths, clips_b.lengths), lag)
        shared = torch.minimum(cut.lengths_a, cut.lengths_b)
        n_frame = int(n_frames(torch.maximum(cut.lengths_a, cut.lengths_b)).max())
        encoded_a, encoded_b = both(
            partial(self.encode, cut.a, cut.lengths_a, n_frame=n_frame),
            partial(self.encode, cut.b, cut.lengths_b, n_frame=n_frame),
        )
        return _Pair(
            encoded_a=encoded_a,
            encoded_b=encoded_b,
            lag=lag,
            gain_db=torch.where(matched_a & matched_b, gain_b - gain_a, 0.0),
            coverage=2.0 * shared / (clips_a.lengths + clips_b.lengths),
            is_batch=is_batch,
        )

    def _comparison(self, pair: "_Pair", evidence: PairEvidence, item: int) -> Comparison:
        frames = int((pair.encoded_a.tokens.mask | pair.encoded_b.tokens.mask)[item].sum())
        band_map = evidence.band_map[item, :frames].cpu()
        time_map = band_map.sum(-1)
        return Comparison(
            distance=evidence.distance[item].item(),
            fidelity=evidence.fidelity[item].item(),
            content=evidence.content[item].item(),
            added=evidence.added[item].item(),
            missing=evidence.missing[item].item(),
            same_content=evidence.same_content[item].item(),
            lag_ms=1000.0 * pair.lag[item].item() / SAMPLE_RATE,
            gain_db=pair.gain_db[item].item(),
            p_audible=p_audible(evidence.distance[item].item()),
            ci=chunk_interval(time_map),
            coverage=pair.coverage[item].item(),
            time_map=time_map,
            band_map=band_map,
            model=self.info,
            warnings=_warnings(pair, item),
        )


class _Pair:
    """Two encoded batches and what was done to bring them together."""

    def __init__(
        self,
        *,
        encoded_a: Encoded,
        encoded_b: Encoded,
        lag: Int64[Tensor, "batch"],
        gain_db: Float[Tensor, "batch"],
        coverage: Float[Tensor, "batch"],
        is_batch: bool,
    ) -> None:
        self.encoded_a = encoded_a
        self.encoded_b = encoded_b
        self.lag = lag
        self.gain_db = gain_db
        self.coverage = coverage
        self.is_batch = is_batch


def _call(part: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return part(*args, **options)


def _warnings(pair: _Pair, item: int) -> tuple[str, ...]:
    notes = []
    for name, encoded in (("reference", pair.encoded_a), ("test", pair.encoded_b)):
        if not bool(encoded.tokens.loudness[item].any()):
            notes.append(f"the {name} is inaudible: it was compared as silence")
    if pair.coverage[item] < 0.9:
        share = 100.0 * pair.coverage[item].item()
        notes.append(f"only {share:.0f} % of both clips had a counterpart; the rest is different")
    return tuple(notes)


def _broadcast(a: AudioBatch, b: AudioBatch) -> tuple[AudioBatch, AudioBatch]:
    """One clip against many: repeat it."""
    count_a, count_b = a.lengths.shape[0], b.lengths.shape[0]
    if count_a == count_b:
        return a, b
    if 1 not in (count_a, count_b):
        raise InputError(
            f"a and b need the same number of clips, or one of them a single clip; "
            f"got {count_a} and {count_b}"
        )
    return _repeat(a, count_b), _repeat(b, count_a)


def _repeat(clips: AudioBatch, count: int) -> AudioBatch:
    if clips.lengths.shape[0] != 1:
        return clips
    return AudioBatch(
        waveform=clips.waveform.expand(count, -1, -1),
        lengths=clips.lengths.expand(count),
        sample_rate=clips.sample_rate,
        is_batch=True,
    )


def _split_lengths(lengths: Lengths | tuple[Lengths, Lengths]) -> tuple[Lengths, Lengths]:
    """One set of lengths for both sides, unless it is a pair of sets."""
    is_pair = isinstance(lengths, tuple) and not all(isinstance(x, int) for x in lengths)
    return cast("tuple[Lengths, Lengths]", lengths if is_pair else (lengths, lengths))


def _grad_only_for(*sources: AudioSource) -> AbstractContextManager:
    """Build a graph only where a caller's tensor asks for one."""
    wanted = any(isinstance(s, Tensor) and s.requires_grad for s in _flat(sources))
    return nullcontext() if wanted and torch.is_grad_enabled() else torch.no_grad()


def _flat(sources: Sequence[AudioSource]) -> list[AudioSource]:
    return [
        item
        for source in sources
        for item in (_flat(source) if isinstance(source, (list, tuple)) else [source])
    ]
