#!/bin/sh
# Make the bundled pamt-mini from the data folder: training/reproduce.sh DATA [WORK]
# Every stage resumes where it was stopped. Needs ffmpeg, FluidSynth and its soundfonts (see
# training/README.md) and `uv sync --extra train --extra bench`.
set -eu
data=${1:?usage: training/reproduce.sh DATA [WORK]}
work=${2:-runs/pamt-mini}
python=${PYTHON:-.venv/bin/python}
common="--config training/configs/joint-mini.yaml --encoder $work/encoder --work $work"
features="--pretrain training/configs/pretrain-mini.yaml --data $data"
mkdir -p "$work"
$python -m training.pretrain --config training/configs/pretrain-mini.yaml --data "$data" --work "$work"
$python -m training.joint $common $features
$python -m training.calibrate $common $features
$python -m training.publish $common --model-name pamt-mini --model-version 0.3.0 \
    --output "$work/release"
# The bundled model has a model card of its own.
cp "$work/release/config.json" "$work/release/model.safetensors" src/pamt_metric/models/pamt-mini/
