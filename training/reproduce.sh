#!/bin/sh
# Make the bundled pamt-mini from the data folder: training/reproduce.sh DATA [WORK]
# Every stage resumes where it was stopped. Needs ffmpeg, FluidSynth and its soundfonts (see
# training/README.md) and `uv sync --extra train --extra bench`.
#
# LAUNCH starts the stages that train on more than one process, for instance
#   LAUNCH="torchrun --nproc-per-node 8" training/reproduce.sh DATA
# CONFIGS is a folder with other configurations under the names of those in training/configs, and
# MODEL the folder that then takes the model in place of the bundled one:
#   CONFIGS=my-configs MODEL=my-model training/reproduce.sh DATA my-work
set -eu
data=${1:?usage: training/reproduce.sh DATA [WORK]}
work=${2:-runs/pamt-mini}
python=${PYTHON:-.venv/bin/python}
launch=${LAUNCH:-$python}
if [ -n "${CONFIGS:-}" ]; then
    configs=$CONFIGS
    model=${MODEL:?CONFIGS would replace the bundled model: MODEL names the folder of the result}
    command="CONFIGS=$(basename "$configs") training/reproduce.sh"
else
    configs=training/configs
    model=${MODEL:-src/pamt_metric/models/pamt-mini}
    command=training/reproduce.sh
fi
further=$configs/pretrain-mini-further.yaml

mkdir -p "$work/corpus" "$work/further" "$model"
# The stages of the head read the corpus of the second pretraining: one folder for both.
[ -e "$work/further/corpus" ] || ln -s ../corpus "$work/further/corpus"

train() {
    # shellcheck disable=SC2086  # LAUNCH is a list of words
    $launch -m training "$@"
}
train pretrain --config "$configs/pretrain-mini.yaml" --data "$data" --work "$work"
train pretrain --config "$further" --data "$data" --start "$work/encoder" --work "$work/further"
set -- --config "$configs/joint-mini.yaml" --encoder "$work/further/encoder" --work "$work"
train joint "$@" --pretrain "$further" --data "$data"
"$python" -m training calibrate "$@" --pretrain "$further" --data "$data"
"$python" -m training publish "$@" --model-name pamt-mini --model-version 0.5.0 \
    --command "$command" --output "$work/release"
# The bundled model has a model card of its own.
cp "$work/release/config.json" "$work/release/model.safetensors" "$model/"
