"use strict";

/**
 * Two clips on one clock. Both always run; their gains alone say which is heard, so that a switch
 * costs no time and loses no sample. Positions are seconds of the clips.
 */
class Player extends EventTarget {
  static SIDES = ["reference", "test"];
  static FADE_S = 0.006; // of a switch, a start and a stop: too short to hear, long enough not to click
  static LEAD_S = 0.02; // from asking for a start to the start, so that both clips make it

  constructor(context, clips) {
    super();
    this.context = context;
    this.clips = clips;
    this.side = "reference";
    this.voices = null; // what runs now
    this.offset = 0; // where it started, or will start
    this.looping = false;
  }

  get duration() {
    return this.clips.reference.duration;
  }

  get playing() {
    return this.voices !== null;
  }

  /** What is heard now, the way to the ear included. */
  get position() {
    if (!this.playing) return this.offset;
    const late = this.context.outputLatency || 0;
    const elapsed = Math.max(0, this.context.currentTime - late - this.voices.start);
    const at = this.offset + elapsed;
    return this.looping ? at % this.duration : Math.min(at, this.duration);
  }

  play() {
    if (this.playing) return;
    if (this.offset >= this.duration - 0.001) this.offset = 0;
    const start = this.context.currentTime + Player.LEAD_S;
    const out = this.context.createGain();
    out.gain.setValueAtTime(0, start);
    out.gain.linearRampToValueAtTime(1, start + Player.FADE_S);
    out.connect(this.context.destination);
    const voices = { start, out, gains: {}, sources: {} };
    for (const side of Player.SIDES) {
      const source = this.context.createBufferSource();
      source.buffer = this.clips[side];
      source.loop = this.looping;
      const gain = this.context.createGain();
      gain.gain.value = side === this.side ? 1 : 0;
      source.connect(gain).connect(out);
      source.start(start, this.offset);
      voices.gains[side] = gain.gain;
      voices.sources[side] = source;
    }
    voices.sources.reference.onended = () => {
      if (this.voices === voices) this.#rest(0);
    };
    this.voices = voices;
    this.#changed();
  }

  pause() {
    if (!this.playing) return;
    const at = this.position;
    this.#silence();
    this.#rest(at);
  }

  seek(second) {
    const at = Math.min(Math.max(second, 0), this.duration);
    const resume = this.playing;
    if (resume) this.#silence();
    this.voices = null;
    this.offset = at;
    if (resume) this.play();
    else this.#changed();
  }

  choose(side) {
    this.side = side;
    if (this.playing) {
      const now = this.context.currentTime;
      for (const name of Player.SIDES) {
        const gain = this.voices.gains[name];
        gain.cancelScheduledValues(now);
        gain.setValueAtTime(gain.value, now);
        gain.linearRampToValueAtTime(name === side ? 1 : 0, now + Player.FADE_S);
      }
    }
    this.#changed();
  }

  loop(on) {
    if (this.playing) {
      this.offset = this.position;
      this.voices.start = this.context.currentTime - (this.context.outputLatency || 0);
      for (const source of Object.values(this.voices.sources)) source.loop = on;
    }
    this.looping = on;
  }

  #silence() {
    const { out, sources } = this.voices;
    const now = this.context.currentTime;
    out.gain.cancelScheduledValues(now);
    out.gain.setValueAtTime(out.gain.value, now);
    out.gain.linearRampToValueAtTime(0, now + Player.FADE_S);
    for (const source of Object.values(sources)) source.stop(now + Player.FADE_S);
  }

  #rest(at) {
    this.voices = null;
    this.offset = at;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Both clips decoded, and of exactly one length: a decoder may add or drop a few samples. */
async function decodeClips(context, sound, duration) {
  const length = Math.round(duration * context.sampleRate);
  const clips = {};
  for (const side of Player.SIDES) {
    const decoded = await context.decodeAudioData(bytesOf(sound[side]).buffer);
    const clip = context.createBuffer(decoded.numberOfChannels, length, context.sampleRate);
    for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
      clip.copyToChannel(decoded.getChannelData(channel).subarray(0, length), channel);
    }
    clips[side] = clip;
  }
  return clips;
}
