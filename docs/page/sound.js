// Samples in, samples and facts out: what src/ser/audio.py does, for the browser.
// Nothing here knows of the page; the same functions run in the worker and in the tests.

export const MIN_DURATION_S = 0.05; // about four periods of the lowest male voice
const SILENCE_DBFS = -70;
const QUIET_DBFS = -40;
const CLIPPED_FROM = 0.999;
const TRIM_FRAME = 2048; // samples that trimming looks at, and steps on by
const TRIM_HOP = 512;

/** Average channels (an array of Float32Array of one length). */
export function toMono(channels) {
  if (channels.length === 1) return channels[0];
  const mono = new Float32Array(channels[0].length);
  for (let i = 0; i < mono.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    mono[i] = sum / channels.length;
  }
  return mono;
}

/** Write samples as a WAV file of 16 bits, to listen to again. */
export function asWav(mono, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * mono.length));
  const put = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  put(0, "RIFF");
  view.setUint32(4, 36 + 2 * mono.length, true);
  put(8, "WAVEfmt ");
  [[16, 16], [24, rate], [28, 2 * rate], [40, 2 * mono.length]].forEach(([at, value]) =>
    view.setUint32(at, value, true));
  [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => view.setUint16(at, value, true));
  put(36, "data");
  mono.forEach((value, i) =>
    view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, value))), true));
  return new Blob([view], { type: "audio/wav" });
}

/** Measure how far the loudest sample is from the middle, and which share is at full scale. */
export function levels(samples) {
  let mean = 0;
  for (const value of samples) mean += value / samples.length;
  let [loudest, full] = [0, 0];
  for (const value of samples) {
    loudest = Math.max(loudest, Math.abs(value - mean));
    if (Math.abs(value) >= CLIPPED_FROM) full += 1;
  }
  return { loudest, clipped: full / samples.length };
}

/** Name what makes a recording of such levels a poor basis for an answer. */
export function warningsAbout({ loudest, clipped }) {
  const level = 20 * Math.log10(loudest);
  const found = level < SILENCE_DBFS ? ["silent"] : level < QUIET_DBFS ? ["quiet"] : [];
  return clipped > 1e-3 ? [...found, "clipped"] : found;
}

// A low-pass filter that ends where soxr's high quality does: it lets pass up to 91.3 % of the lower
// Nyquist frequency, and nothing above all of it.
const PASS_END = 0.913;
const REJECTION_DB = 110;
const filters = new Map();

function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

function makeFilter(up, down, passEnd) {
  const lower = Math.min(1, up / down); // of the Nyquist frequency that comes in
  const cutoff = ((1 + passEnd) / 2) * lower;
  const beta = 0.1102 * (REJECTION_DB - 8.7);
  const width = Math.PI * (1 - passEnd) * lower;
  const half = Math.ceil((REJECTION_DB - 8) / (2.285 * width) / 2);
  const taps = new Float32Array(up * 2 * half);
  const whole = bessel(beta);
  for (let phase = 0; phase < up; phase++) {
    for (let k = 0; k < 2 * half; k++) {
      const t = k - half + 1 - phase / up; // from the output's place, in samples that come in
      const window = Math.abs(t) < half ? bessel(beta * Math.sqrt(1 - (t / half) ** 2)) / whole : 0;
      const x = Math.PI * cutoff * t;
      taps[phase * 2 * half + k] = cutoff * window * (x ? Math.sin(x) / x : 1);
    }
  }
  return { taps, half };
}

/** Give samples another rate; linear phase, as long as before. */
export function resample(samples, from, to, passEnd = PASS_END) {
  if (from === to) return samples;
  const common = divisor(from, to);
  const [up, down] = [to / common, from / common];
  const key = `${up}/${down} ${passEnd}`;
  if (!filters.has(key)) filters.set(key, makeFilter(up, down, passEnd));
  const { taps, half } = filters.get(key);
  const found = new Float32Array(Math.round((samples.length * up) / down));
  for (let n = 0; n < found.length; n++) {
    const at = n * down;
    const phase = at % up;
    const first = (at - phase) / up - half + 1;
    const offset = phase * 2 * half - first;
    const end = Math.min(samples.length, first + 2 * half);
    let sum = 0;
    for (let i = Math.max(0, first); i < end; i++) sum += samples[i] * taps[offset + i];
    found[n] = sum;
  }
  return found;
}

/** Find where the sound is louder than `topDb` below its loudest frame: [first, end). */
export function trimmed(samples, topDb) {
  if (topDb === null || topDb === undefined) return [0, samples.length];
  const nFrames = 1 + Math.floor(samples.length / TRIM_HOP);
  const levels = new Float64Array(nFrames);
  for (let frame = 0; frame < nFrames; frame++) {
    const middle = frame * TRIM_HOP;
    const end = Math.min(samples.length, middle + TRIM_FRAME / 2);
    let sum = 0;
    for (let i = Math.max(0, middle - TRIM_FRAME / 2); i < end; i++) sum += samples[i] ** 2;
    levels[frame] = 20 * Math.log10(Math.max(1e-5, Math.sqrt(sum / TRIM_FRAME)));
  }
  const loudest = levels.reduce((a, b) => Math.max(a, b), -Infinity);
  const loud = (level) => level > loudest - topDb;
  const first = levels.findIndex(loud);
  const last = levels.findLastIndex(loud);
  if (first < 0) return [0, samples.length];
  return [first * TRIM_HOP, Math.min(samples.length, (last + 1) * TRIM_HOP)];
}

/** Give the smallest and the largest sample of each of `n` columns: a waveform to draw. */
export function envelope(samples, n) {
  const found = new Float32Array(2 * n);
  for (let column = 0; column < n; column++) {
    const begin = Math.floor((column * samples.length) / n);
    const end = Math.max(begin + 1, Math.floor(((column + 1) * samples.length) / n));
    let [low, high] = [Infinity, -Infinity];
    for (let i = begin; i < end && i < samples.length; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    found[2 * column] = low === Infinity ? 0 : low;
    found[2 * column + 1] = high === -Infinity ? 0 : high;
  }
  return found;
}

// The log-mel spectrogram ---------------------------------------------------------------------------

const N_MELS = 64;
const RANGE_DB = 80;
const MOST_COLUMNS = 1200;
const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
const hertz = (value) => 700 * (10 ** (value / 2595) - 1);

/** Transform a frame in place (radix 2); `cos` and `sin` hold a whole turn in as many steps. */
function fft(real, imag, cos, sin) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imag[i], imag[j]] = [imag[j], imag[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const c = cos[(k * n) / size];
      const s = -sin[(k * n) / size];
      for (let at = k; at < n; at += size) {
        const to = at + size / 2;
        const re = real[to] * c - imag[to] * s;
        const im = real[to] * s + imag[to] * c;
        real[to] = real[at] - re;
        imag[to] = imag[at] - im;
        real[at] += re;
        imag[at] += im;
      }
    }
  }
}

/** Give levels of 0 (80 dB below the loudest) to 255, band by band from the lowest. */
export function spectrogram(samples, rate) {
  const size = 2 ** Math.round(Math.log2(0.032 * rate));
  const hop = Math.max(size / 4, Math.ceil(samples.length / MOST_COLUMNS));
  const columns = Math.max(1, Math.ceil(samples.length / hop));
  const edges = Array.from({ length: N_MELS + 2 }, (_, i) =>
    (hertz((mel(rate / 2) * i) / (N_MELS + 1)) * size) / rate);
  const turn = (wave) => Float64Array.from({ length: size }, (_, i) => wave((2 * Math.PI * i) / size));
  const [cos, sin] = [turn(Math.cos), turn(Math.sin)];
  const levels = new Float32Array(N_MELS * columns);
  let loudest = -Infinity;
  for (let column = 0; column < columns; column++) {
    const real = new Float64Array(size);
    const imag = new Float64Array(size);
    const begin = column * hop - size / 2;
    for (let i = Math.max(0, -begin); i < size && begin + i < samples.length; i++) {
      real[i] = samples[begin + i] * (0.5 - 0.5 * cos[i]);
    }
    fft(real, imag, cos, sin);
    for (let band = 0; band < N_MELS; band++) {
      const [low, middle, high] = edges.slice(band, band + 3);
      let power = 1e-10;
      for (let bin = Math.ceil(low); bin < high; bin++) {
        const weight = bin < middle ? (bin - low) / (middle - low) : (high - bin) / (high - middle);
        power += (weight * (real[bin] ** 2 + imag[bin] ** 2)) / (high - low);
      }
      const level = 10 * Math.log10(power);
      levels[band * columns + column] = level;
      loudest = Math.max(loudest, level);
    }
  }
  const values = Uint8Array.from(levels, (level) =>
    255 * Math.max(0, 1 - (loudest - level) / RANGE_DB));
  return { values, columns, bands: N_MELS, seconds: (columns * hop) / rate };
}
