"""The sounds on which a metric is probed: recordings, loops, rendered MIDI, and its own pieces."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.datasets import recordings
from benchmarks.datasets.sources import POP909, SONIC_PI, Source
from benchmarks.orderings import Recording, read_excerpt
from benchmarks.sanity import composer
from pamt_metric.errors import PamtError

SOURCES: tuple[Source, ...] = (SONIC_PI, POP909)
# Each probe runs on at least this many clips.
MIN_CLIPS = 20
LOOPS = ("loop_amen_full", "loop_compus", "loop_garzul", "loop_mika", "loop_tabla")
LOOP_PLACES = (".", "etc/samples")
SONGS = ("001", "002")
SONG_PLACES = (".", "POP909")
N_COMPOSED = 2
SOUNDFONT_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")
SOUNDFONTS = ("FluidR3_GM.sf2", "TimGM6mb.sf2", "MuseScore_General.sf3", "default-GM.sf2")
RENDER_RATE = 48_000
RENDER_GAIN = 0.5
RENDER_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Clips:
    """Excerpts of at most 10 s, and one line about each thing that is not there."""

    clips: list[Recording]
    missing: list[str] = field(default_factory=list)


def find_clips(root: Path | None, *, at_most: int | None = None) -> Clips:
    """Every clip that a data root offers, filled up to `MIN_CLIPS` with composed pieces.

    Args:
        root: The folder that contains `music/`; None for composed pieces alone.
        at_most: Take no more than this, spread over the kinds of clip.
    """
    clips: list[Recording] = []
    missing: list[str] = []
    if root is None:
        missing.append("no data folder: every clip is one that the suite composes itself")
    else:
        found = recordings.read(root)
        clips += [read_excerpt(name, path) for name, path in found.paths.items()]
        missing += found.missing
        for part in (_loops(root), _songs(root)):
            clips += part.clips
            missing += part.missing
    n_composed = max(N_COMPOSED, min(MIN_CLIPS, at_most or MIN_CLIPS) - len(clips))
    clips += composed(n_composed)
    return Clips(clips[:: -(-len(clips) // at_most)] if at_most else clips, missing)


def composed(n_clips: int, *, duration_s: float = composer.DURATION_S) -> list[Recording]:
    """Pieces that the suite makes itself, the same each time."""
    return [
        Recording(
            f"piece {seed}",
            composer.compose(seed, duration_s=duration_s),
            composer.SAMPLE_RATE,
            "composed",
        )
        for seed in range(n_clips)
    ]


def _loops(root: Path) -> Clips:
    paths = {name: recordings.find(root, SONIC_PI, name, LOOP_PLACES) for name in LOOPS}
    return Clips(
        [_read(name, path, "loop") for name, path in paths.items() if path],
        [f"{name} is absent" for name, path in paths.items() if path is None],
    )


def _songs(root: Path) -> Clips:
    folders = [root / POP909.folder / place for place in SONG_PLACES]
    folder = next((x for x in folders if (x / SONGS[0] / f"{SONGS[0]}.mid").is_file()), None)
    if folder is None:
        return Clips([], [f"{POP909.folder}: its MIDI files are absent"])
    try:
        return Clips([_rendered(folder / song / f"{song}.mid") for song in SONGS])
    except PamtError as error:
        return Clips([], [str(error)])


def _rendered(midi: Path) -> Recording:
    """A MIDI file's middle, played by FluidSynth.

    Raises:
        PamtError: FluidSynth or a soundfont is not installed, or it failed.
    """
    program = shutil.which("fluidsynth")
    places = (Path(folder) / name for folder in SOUNDFONT_FOLDERS for name in SOUNDFONTS)
    soundfont = next((path for path in places if path.is_file()), None)
    if program is None or soundfont is None:
        raise PamtError(
            "MIDI clips need FluidSynth and a General MIDI soundfont; on Debian, install "
            "fluidsynth and fluid-soundfont-gm"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.wav"
        options = ["-ni", "-q", "-g", str(RENDER_GAIN), "-r", str(RENDER_RATE), "-F", str(path)]
        try:
            done = subprocess.run(
                [program, *options, str(soundfont), str(midi)],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=RENDER_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PamtError(
                f"FluidSynth took longer than {RENDER_TIMEOUT_S:g} s for {midi.name}"
            ) from None
        if done.returncode or not path.is_file():
            raise PamtError(f"FluidSynth could not render {midi.name}: {done.stderr.strip()}")
        return _read(f"{midi.stem} ({soundfont.stem})", path, "rendered MIDI")


def _read(name: str, path: Path, source: str) -> Recording:
    excerpt = read_excerpt(name, path)
    return Recording(name, excerpt.waveform, excerpt.sample_rate, source)
