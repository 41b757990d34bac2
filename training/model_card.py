"""The README.md of a published model, from its own files."""

import json
from pathlib import Path
from typing import Any

from pamt_metric import checkpoint, hub

CARD_FILE = "README.md"

_TEMPLATE = """\
---
{front_matter}
---

# {name} {version}

A perceptual distance for music: how different two pieces of music sound to a person. 0 is
identical, 1.0 is just noticeable. Made by and for [pamt-metric](https://arxiv.org/abs/2509.04985).

```python
import pamt_metric as pamt

metric = pamt.load("OWNER/NAME")  # this repository
metric.distance("reference.wav", "test.wav")
```

## Licence

{licence}

## Files

| file | bytes | sha256 |
|---|---|---|
{files}

## Encoder

{encoder}

Its hidden states {layers} are mixed.

## Training

Seed {seed}; `{command}`. Data:

{data}

## Scale

Calibrated on noise around the masked threshold of this package's own ear model, not on listeners.
Median distance of a clip to its copy with such noise:

| noise re threshold | distance |
|---|---|
{calibration}
"""
_REFERENCED = """\
[{id}](https://huggingface.co/{id}) at commit `{revision}`, weights with sha256 `{sha256}`. They are
not in this repository: `pamt_metric.load` downloads them from their publisher and checks them."""
_FOREIGN_LICENCE = """\
The head in this repository: {own}. **The encoder's weights have their publisher's own licence:
{theirs}.** It holds for what you do with the whole metric, whatever the head's."""


def model_card(folder: Path) -> str:
    """Text of the card of a model folder that `checkpoint.save` wrote."""
    config = json.loads((folder / checkpoint.CONFIG_FILE).read_text(encoding="utf-8"))
    card, encoder = config["card"], config["encoder"]
    files = [folder / wanted.names[0] for wanted in checkpoint.FILES]
    rows = [f"| `{p.name}` | {p.stat().st_size} | `{hub.sha256_of(p)}` |" for p in files]
    levels = {k: v for k, v in card["calibration"].items() if k.startswith("at_")}
    noise = [
        f"| {name.removeprefix('at_').replace('_db', ' dB')} | {value:.2f} |"
        for name, value in levels.items()
    ]
    return _TEMPLATE.format(
        front_matter="\n".join(_front_matter(card, encoder)),
        name=config["name"],
        version=config["version"],
        licence=_licence(card["licence"], encoder),
        files="\n".join(rows),
        encoder=_describe(encoder),
        layers=", ".join(map(str, config["head"]["encoder_layers"])),
        seed=card["seed"],
        command=card["command"],
        data="\n".join(f"- {line}" for line in card["training_data"]),
        calibration="\n".join(noise),
    )


def _front_matter(card: dict[str, Any], encoder: dict[str, Any]) -> list[str]:
    lines = [
        f"license: {card['licence'].lower()}",
        "library_name: pamt-metric",
        "tags: [audio, music, perceptual-metric, audio-similarity]",
    ]
    return lines + ([f"base_model: {encoder['hub']}"] if "hub" in encoder else [])


def _licence(own: str, encoder: dict[str, Any]) -> str:
    if "bundled" in encoder:
        return f"All weights in this repository: {own}."
    known = hub.PUBLISHED.get(encoder["hub"])
    theirs = "the one on its page" if known is None else known.licence
    return _FOREIGN_LICENCE.format(own=own, theirs=theirs)


def _describe(encoder: dict[str, Any]) -> str:
    if "bundled" in encoder:
        values = encoder["bundled"]
        size = f"{values['num_hidden_layers']} layers of width {values['hidden_size']}"
        return f"Bundled: HuBERT's architecture, {size}, at {values['sample_rate']} Hz."
    return _REFERENCED.format(id=encoder["hub"], **encoder)
