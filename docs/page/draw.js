// Pictures: lines while somebody speaks, the timeline and the spectrogram of a recording.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100; // of a picture's own units; its width is in percent

function make(name, attributes, ...children) {
  const found = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  found.append(...children);
  return found;
}

/** Draw a line for each class over the last seconds. */
export function drawLines(svg, ticks, classes, seconds) {
  const now = Math.max(seconds, ticks.at(-1)?.time_s ?? 0);
  const x = (tick) => (100 * (tick.time_s - now + seconds)) / seconds;
  const grid = [0, 0.5, 1].map((share) =>
    make("path", { class: "grid", d: `M0 ${HEIGHT * (1 - share)}H100` }));
  const lines = classes.map((name, i) => {
    let d = "";
    let pen = "M";
    for (const tick of ticks) {
      const share = tick.probabilities[name];
      if (share === undefined) pen = "M";
      else {
        d += `${pen}${x(tick).toFixed(2)} ${(HEIGHT * (1 - share)).toFixed(1)}`;
        pen = "L";
      }
    }
    return make("path", { class: `line class-${i % 8}`, d });
  });
  const dots = classes.map((name, i) => {
    const of = ticks.filter(({ label }) => label === name);
    const y = (tick) => (HEIGHT * (1 - tick.probabilities[name])).toFixed(1);
    const d = of.map((tick) => `M${x(tick).toFixed(2)} ${y(tick)}h0`).join("");
    return make("path", { class: `dot class-${i % 8}`, d });
  });
  svg.setAttribute("viewBox", `0 -4 100 ${HEIGHT + 8}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...grid, ...lines, ...dots);
}

/** Draw the waveform, and behind each stretch of speech the colour and the name of its answer. */
export function drawTimeline(svg, envelope, answer, classes) {
  const duration = answer.duration_s;
  const share = (seconds) => `${((100 * seconds) / duration).toFixed(3)}%`;
  const stretches = answer.segments.map(({ start_s: start, end_s: end, label }) => {
    const kind = `class-${classes.indexOf(label) % 8}`;
    const box = { x: share(start), width: share(end - start) };
    const group = make("g", { class: kind },
      make("rect", { ...box, y: 0, height: "100%", class: "stretch" }),
      make("rect", { ...box, y: 0, height: 3, class: "edge" }));
    if (((end - start) / duration) * svg.clientWidth > 8 * label.length) {
      group.append(make("text", { x: share((start + end) / 2), y: 18 }, label));
    }
    group.append(make("title", {}, `${label}, ${start.toFixed(1)} to ${end.toFixed(1)} s`));
    return group;
  });
  const n = envelope.length / 2;
  const peak = Math.max(0.01, ...envelope.map(Math.abs));
  let d = "";
  for (let i = 0; i < n; i++) {
    const [low, high] = [envelope[2 * i] / peak, envelope[2 * i + 1] / peak];
    d += `M${i + 0.5} ${(50 - 48 * high).toFixed(2)}V${(50.5 - 48 * low).toFixed(2)}`;
  }
  const wave = make("svg",
    { y: 24, height: 96, width: "100%", viewBox: `0 0 ${n} 100`, preserveAspectRatio: "none" },
    make("path", { class: "wave", d }));
  const playhead = make("rect", { class: "playhead", x: 0, y: 0, width: 2, height: 120 });
  svg.replaceChildren(...stretches, wave, ...axis(duration), playhead);
  const told = answer.segments.map((s) =>
    `${s.label} from ${s.start_s.toFixed(1)} to ${s.end_s.toFixed(1)} s`);
  svg.setAttribute("aria-label", `Timeline: ${told.slice(0, 12).join(", ") || "no speech"}`);
}

function axis(duration) {
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120];
  const step = steps.find((candidate) => duration / candidate <= 8) ?? 120;
  const found = [];
  for (let at = 0; at <= duration + 1e-6; at += step) {
    const x = `${(100 * at) / duration}%`;
    const anchor = at === 0 ? "start" : at > 0.94 * duration ? "end" : "middle";
    found.push(make("text", { class: "tick", x, y: 136, "text-anchor": anchor }, `${at} s`));
  }
  return found;
}

// Matplotlib's magma at even steps (BSD licence; S. van der Walt and N. Smith, CC0)
const MAGMA = [
  [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122],
  [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191],
];

function colour(level) {
  const at = (level / 255) * (MAGMA.length - 1);
  const first = Math.min(MAGMA.length - 2, Math.floor(at));
  return MAGMA[first].map((value, i) => value + (at - first) * (MAGMA[first + 1][i] - value));
}
const COLOURS = new Uint32Array( // as the bytes of a picture lie in memory
  Uint8ClampedArray.from({ length: 1024 }, (_, i) => (i % 4 === 3 ? 255 : colour(i >> 2)[i % 4])).buffer,
);

/** Draw the spectrogram and, where there is one, the attention over it. */
export function drawSpectrogram(box, { values, columns, bands }, answer) {
  const [canvas, svg] = box.children;
  Object.assign(canvas, { width: columns, height: bands });
  const image = new ImageData(columns, bands);
  const pixels = new Uint32Array(image.data.buffer);
  for (let band = 0; band < bands; band++) {
    for (let column = 0; column < columns; column++) {
      pixels[(bands - 1 - band) * columns + column] = COLOURS[values[band * columns + column]];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.setAttribute("aria-label", `Spectrogram of ${answer.duration_s.toFixed(1)} seconds`);
  svg.replaceChildren();
  if (!answer.attention) return;
  const { weights, start_s: start, end_s: end, step_s: step } = answer.attention;
  const most = 1.1 * Math.max(...weights);
  let d = "";
  weights.forEach((weight, i) => {
    const [from, to] = [start + i * step, Math.min(end, start + (i + 1) * step)];
    if (from >= end) return;
    const y = (100 * (1 - weight / most)).toFixed(2);
    d += `${d ? "L" : "M"}${(100 * from) / answer.duration_s} ${y}H${(100 * to) / answer.duration_s}`;
  });
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.append(make("path", { class: "attention under", d }), make("path", { class: "attention", d }));
}
