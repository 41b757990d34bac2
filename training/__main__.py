"""`python -m training STAGE ...`: every stage, its arguments after its name.

An error that is raised on purpose is one line on stderr and exit code 2.
"""

import importlib
import sys

from pamt_metric.errors import PamtError

STAGES = (
    "pretrain",
    "contrast",
    "align",
    "joint",
    "calibrate",
    "publish",
    "head",
    "crossval",
    "ablations",
    "degradations",
    "shards",
)


def main() -> None:
    """Run the stage that is named first."""
    if len(sys.argv) < 2 or sys.argv[1] not in STAGES:
        sys.exit(f"usage: python -m training {{{','.join(STAGES)}}} ...; --help after a stage")
    stage = sys.argv.pop(1)
    sys.argv[0] = f"python -m training {stage}"
    try:
        importlib.import_module(f"training.{stage}").main()
    except PamtError as error:
        sys.stderr.write(f"training: {' '.join(str(error).split())}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
