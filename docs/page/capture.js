// Runs on the audio thread: gathers what the microphone hears into blocks.

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.block = new Float32Array(processorOptions.block);
    this.filled = 0;
    this.peak = 0;
    this.heard = 0;
    this.port.onmessage = ({ data }) => {
      if (data instanceof MessagePort) this.listener = data;
      else this.flush();
    };
  }

  /** Send what is there, and say so. */
  flush() {
    this.listener?.postMessage(this.block.slice(0, this.filled));
    this.listener?.postMessage(null);
    this.listener = null;
    this.port.postMessage(null);
  }

  process([input]) {
    if (!this.listener || !input.length) return true;
    const mono = input.length === 1 ? input[0] : input[0].map((value, i) =>
      input.reduce((sum, channel) => sum + channel[i], 0) / input.length);
    for (const value of mono) {
      this.peak = Math.max(this.peak, Math.abs(value));
      this.block[this.filled++] = value;
      if (this.filled === this.block.length) {
        this.listener.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    this.heard += mono.length;
    if (this.heard > sampleRate / 20) {
      this.port.postMessage(this.peak);
      this.heard = this.peak = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
