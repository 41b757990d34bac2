"""Changes that listeners just hear, as frozen features: one 'study' a listening experiment.

What is heard in published experiments at the threshold of a change is, whatever the change, one
just-noticeable difference. Sounds are heard at the level they had.
"""

from collections.abc import Sequence

import torch

from benchmarks.psychophysics.at_threshold import just_heard
from pamt_metric.metric import Metric
from training.data.alignment_set import Study
from training.data.features import clip_features, pair_features

DATASET = "just heard"


def just_heard_studies(metric: Metric, experiments: Sequence[str]) -> list[Study]:
    """Features of the pairs at threshold of each experiment; nobody rated them.

    Raises:
        InputError: an experiment is unknown, or has no such pairs.
    """
    studies = []
    for name in experiments:
        pairs = just_heard(name)
        waveforms = [torch.from_numpy(x) for pair in pairs for x in (pair.standard, pair.signal)]
        first = torch.arange(0, len(waveforms), 2)
        features = pair_features(
            clip_features(metric, waveforms, level="absolute"), first, first + 1
        )
        studies.append(Study(DATASET, name, name, "", features, torch.zeros(len(pairs))))
    return studies
