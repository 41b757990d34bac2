"use strict";

/** Colour between the steps of a ramp, at a share from 0 to 1. */
function rampColor(ramp, share) {
  const at = share * (ramp.length - 1);
  const below = Math.min(Math.floor(at), ramp.length - 2);
  return mix(ramp[below], ramp[below + 1], at - below);
}

function mix(from, to, share) {
  return from.map((value, index) => value + share * (to[index] - value));
}

/** Brightness says how much, hue which clip holds more: as in pamt plot. */
function differenceColor(settings, strength, lean) {
  const more = lean > 0 ? settings.more_in_test : settings.more_in_reference;
  return mix(settings.base, mix(settings.neither, more, Math.abs(lean)), strength);
}

/** Paint a map of bytes, column by column with low bands first, one pixel a place. */
function paintMap(canvas, columns, bands, colorOf) {
  canvas.width = columns;
  canvas.height = bands;
  const drawing = canvas.getContext("2d");
  const image = drawing.createImageData(columns, bands);
  for (let column = 0; column < columns; column++) {
    for (let band = 0; band < bands; band++) {
      const color = colorOf(column * bands + band);
      const pixel = 4 * ((bands - 1 - band) * columns + column);
      image.data.set([color[0], color[1], color[2], 255], pixel);
    }
  }
  drawing.putImageData(image, 0, 0);
}

/** Names of frequencies at the left edge of a map. */
function labelFrequencies(strip, settings, bands) {
  for (const old of strip.querySelectorAll(".frequency")) old.remove();
  for (const [name, band] of Object.entries(settings.frequencies)) {
    const label = document.createElement("span");
    label.className = "frequency";
    label.textContent = name;
    label.style.bottom = `${(100 * (band + 0.5)) / bands}%`;
    strip.append(label);
  }
}

/** Seconds under the maps: about six, at round steps. */
function labelTimes(ruler, duration) {
  const decade = 10 ** Math.floor(Math.log10(duration / 6));
  const step = decade * [1, 2, 5, 10].find((factor) => decade * factor >= duration / 6);
  const labels = [];
  for (let index = 0; index * step < 0.97 * duration; index++) {
    const label = document.createElement("span");
    label.textContent = `${Number((index * step).toPrecision(6))}${index ? "" : " s"}`;
    label.style.left = `${(100 * index * step) / duration}%`;
    labels.push(label);
  }
  ruler.replaceChildren(...labels);
}

/** Distance over time as an area, its mean as a line. */
function drawCurve(svg, values, mean) {
  const most = Math.max(1, ...values);
  const height = (value) => 100 - (92 * value) / most;
  svg.setAttribute("viewBox", `0 0 ${values.length} 100`);
  const points = values.map((value, index) => `${index + 0.5},${height(value)}`);
  const [first, last] = [height(values[0]), height(values[values.length - 1])];
  const edge = [`0,100 0,${first}`, ...points, `${values.length},${last} ${values.length},100`];
  svg.querySelector("polygon").setAttribute("points", edge.join(" "));
  const line = svg.querySelector("line");
  for (const [name, value] of Object.entries({ x1: 0, x2: values.length, y1: height(mean), y2: height(mean) })) {
    line.setAttribute(name, value);
  }
}

/** All that is seen of a pair; gives what is at a place (shares of time and of the map's height). */
function drawPair(pair, settings) {
  const strength = bytesOf(pair.difference);
  const lean = bytesOf(pair.lean);
  const leanAt = (index) => (lean[index] - 127.5) / 127.5;
  const paint = (id, colorOf) => {
    const canvas = document.getElementById(id);
    paintMap(canvas, pair.columns, pair.bands, colorOf);
    labelFrequencies(canvas.parentElement, settings, pair.bands);
  };
  paint("map-difference", (index) => differenceColor(settings, strength[index] / 255, leanAt(index)));
  for (const side of ["reference", "test"]) {
    const level = bytesOf(pair.levels[side]);
    paint(`map-${side}`, (index) => rampColor(settings.ramp, level[index] / 255));
  }
  drawCurve(document.getElementById("curve"), pair.over_time, pair.summary.distance);
  labelTimes(document.getElementById("ruler"), pair.duration);
  document.getElementById("brightest").textContent = `brightest: a local distance of ${pair.top.toFixed(1)}`;
  return (time, height) => {
    const column = Math.min(Math.floor(time * pair.columns), pair.columns - 1);
    const band = Math.min(Math.floor(height * pair.bands), pair.bands - 1);
    const index = column * pair.bands + band;
    return { difference: pair.top * (strength[index] / 255) ** 2, lean: leanAt(index), whole: pair.over_time[column] };
  };
}
