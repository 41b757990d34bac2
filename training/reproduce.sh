#!/bin/sh
# Make the bundled pamt-mini from the data folder: training/reproduce.sh DATA [WORK]
# Every stage resumes where it was stopped. Needs ffmpeg, FluidSynth and its soundfonts (see
# training/README.md) and `uv sync --extra train --extra bench`.
# LAUNCH starts the stages that train on more than one process, for instance
#   LAUNCH="torchrun --nproc-per-node 8" training/reproduce.sh DATA
set -eu
data=${1:?usage: training/reproduce.sh DATA [WORK]}
work=${2:-runs/pamt-mini}
python=${PYTHON:-.venv/bin/python}
launch=${LAUNCH:-$python}
configs=training/configs
run="--config $configs/joint-mini.yaml --encoder $work/further/encoder --work $work"
features="--pretrain $configs/pretrain-mini-further.yaml --data $data"
mkdir -p "$work"
# shellcheck disable=SC2086  # these variables are lists of words
{
    $launch -m training pretrain --config $configs/pretrain-mini.yaml --data "$data" --work "$work"
    $launch -m training pretrain --config $configs/pretrain-mini-further.yaml --data "$data" \
        --start "$work/encoder" --work "$work/further"
    $launch -m training joint $run $features
    $python -m training calibrate $run $features
    $python -m training publish $run --model-name pamt-mini --model-version 0.5.0 \
        --command training/reproduce.sh --output "$work/release"
}
# The bundled model has a model card of its own.
cp "$work/release/config.json" "$work/release/model.safetensors" src/pamt_metric/models/pamt-mini/
