"""What any listener would agree on, as a test that runs on any callable metric.

`run(metric, clips)` gives one row an ordering; `probes` says what is asked of a metric and `clips`
on which sounds. `python -m benchmarks sanity --metric NAME` is the command.
"""

from benchmarks.sanity import clips
from benchmarks.sanity.clips import Clips, composed, find_clips
from benchmarks.sanity.suite import run, run_trial, summarise, trials, write

__all__ = [
    "Clips",
    "clips",
    "composed",
    "find_clips",
    "run",
    "run_trial",
    "summarise",
    "trials",
    "write",
]
