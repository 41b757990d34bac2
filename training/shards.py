"""Write a corpus as webdataset shards, which stream well from large or remote storage.

    python -m training shards --corpus fma:/data/fma_large --output DIR

The shards are mono FLAC at 24 kHz, in a random order, with a few files held aside for validation.
Defective files are left out; `DIR/skipped.csv` says which, and why. Pretraining takes the result as
`stream: {share: 0.5, corpora: ["shards:DIR"]}`.
"""

import argparse
import logging
import os
from pathlib import Path

import numpy as np

from training.data import public_corpora, shards
from training.data.streams import split_aside
from training.pretrain_config import StreamConfig
from training.progress import set_up_logging

_log = logging.getLogger(__name__)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write a corpus as webdataset shards.")
    parser.add_argument("--corpus", required=True, help="KIND:PATH, such as gtzan:/data/gtzan")
    parser.add_argument("--output", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--data", type=Path, default=os.environ.get("PAMT_DATA", "."))
    parser.add_argument("--shard-mb", type=float, default=100.0, help="size of a shard")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument(
        "--held-aside-share",
        type=float,
        default=StreamConfig.held_aside_share,
        help="share of files that serve only for validation",
    )
    arguments = parser.parse_args()
    set_up_logging()
    kind, path = public_corpora.split_spec(arguments.corpus, Path(arguments.data))
    found = public_corpora.recordings(kind, path)
    order = np.random.default_rng(arguments.seed).permutation(len(found))
    train, aside = split_aside([found[i] for i in order], arguments.held_aside_share)
    shards.write_shards(train, aside, arguments.output, shard_mb=arguments.shard_mb)
    counts = shards.read_index(arguments.output)
    kept = sum(count for side in counts.values() for count in side.values())
    _log.info("%d of %d files are in %s", kept, len(found), arguments.output)


if __name__ == "__main__":
    main()
