"""Where the public data lies: the repositories to clone, at the commits that were checked."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One public repository.

    Attributes:
        folder: Where it is expected below the data root.
        repository: `owner/name` on GitHub.
        commit: The commit to check out.
        note: What else there is to do or to know.
    """

    folder: str
    repository: str
    commit: str
    note: str = ""

    def present(self, root: Path) -> bool:
        """Whether its folder is there."""
        return (root / self.folder).is_dir()

    def how_to_get(self, root: Path) -> str:
        """The commands that fetch it, on one line."""
        target = f"'{root / self.folder}'"
        clone = f"git clone https://github.com/{self.repository} {target}"
        command = f"{clone} && git -C {target} checkout {self.commit}"
        return f"{command}  # {self.note}" if self.note else command


TIMBRE = Source(
    "ratings/timbre-dissimilarity-metrics", "ben-hayes/timbre-dissimilarity-metrics", "262ca43c"
)
LAKATOS_RAW = Source(
    "ratings/musical-timbre-studies", "EtienneTho/musical-timbre-studies", "0a34e761"
)
VOICE = Source(
    "ratings/voice-perception",
    "Trebolium/VoicePerception",
    "ee52b247",
    note="this commit has the audio; the ratings are anon_perceptual_dissimilarity_data.hdf5 of "
    "commit afce38e6, to be averaged per pair into ratings.csv (see benchmarks/README.md)",
)
SOURCE_SEPARATION = Source(
    "ratings/perceptual-study-source-separation",
    "CVSSP/perceptual-study-source-separation",
    "430e0ff2",
)
SISEC18 = Source(
    "ratings/sisec-mus-18-pick-the-best", "CVSSP/sisec-mus-18-pick-the-best", "2d808629"
)
VISQOL = Source("music/visqol-conformance", "google/visqol", "38d0b016")
LIBROSA = Source("music/librosa-data", "librosa/data", "450cdd8a")
SONIC_PI = Source("music/sonic-pi", "sonic-pi-net/sonic-pi", "c0002065")
POP909 = Source("music/pop909", "music-x-lab/POP909-Dataset", "d83e6edb")
