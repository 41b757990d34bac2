"use strict";

const byId = (id) => document.getElementById(id);

/** The dialog that shows and plays one pair. */
class PairView {
  constructor(settings) {
    this.settings = settings;
    this.dialog = byId("view");
    this.player = null;
    this.context = null;
    this.opened = 0; // counts openings, so that a late decoder knows that it is late
    this.#listen();
  }

  /** Show a pair; gives a promise that ends when its sound can be played, or there is none. */
  async open(number) {
    this.#leave();
    const opening = ++this.opened;
    this.number = number;
    this.pair = JSON.parse(byId(`pair-${number}`).textContent);
    this.#describe();
    if (!this.dialog.open) this.dialog.showModal();
    this.placeOf = drawPair(this.pair, this.settings);
    byId("stack").setAttribute("aria-valuemax", this.pair.duration.toFixed(2));
    this.#show(0);
    byId("stack").focus({ preventScroll: true });
    this.dialog.scrollTop = 0;
    if (!this.pair.sound) return;
    try {
      this.context ??= new AudioContext({ sampleRate: 48000 });
      const clips = await decodeClips(this.context, this.pair.sound, this.pair.duration);
      if (opening === this.opened) this.#ready(clips);
    } catch (error) {
      this.#complain(`This browser cannot decode the sound: ${error.message}`);
    }
  }

  close() {
    this.dialog.close();
  }

  play() {
    this.context?.resume();
    this.player?.play();
  }

  toggle() {
    if (this.player?.playing) this.player.pause();
    else this.play();
  }

  seek(second) {
    this.player?.seek(second);
    this.#show(this.player ? this.player.position : second);
  }

  choose(side) {
    document.querySelector(`input[name=side][value=${side}]`).checked = true;
    this.player?.choose(side);
  }

  #leave() {
    this.player?.pause();
    this.player = null;
    this.opened++;
    byId("play").disabled = true;
  }

  #ready(clips) {
    this.player = new Player(this.context, clips);
    this.player.loop(byId("loop").checked);
    this.player.choose(document.querySelector("input[name=side]:checked").value);
    this.player.addEventListener("change", () => this.#follow());
    byId("play").disabled = false;
    this.#follow();
  }

  #complain(message) {
    byId("trouble").textContent = message;
    byId("trouble").hidden = false;
  }

  #describe() {
    const row = byId(`row-${this.number}`);
    const name = (column) => row.querySelector(`.${column} .path`).textContent;
    byId("view-title").textContent = name("test");
    byId("against").textContent = `against ${name("reference")}`;
    byId("trouble").hidden = true;
    byId("transport").hidden = !this.pair.sound;
    const found = this.pair.summary;
    const numbers = {
      distance: `${found.distance.toFixed(3)}, ${this.pair.meaning}`,
      fidelity: found.fidelity.toFixed(3),
      added: found.added.toFixed(3),
      missing: found.missing.toFixed(3),
      content: found.content.toFixed(3),
      audible: `${Math.round(100 * found.p_audible)} %`,
      lag: `${found.lag_ms.toFixed(1)} ms`,
      gain: `${found.gain_db.toFixed(1)} dB`,
    };
    byId("numbers").replaceChildren(
      ...Object.entries(numbers).map(([label, value]) => {
        const box = document.createElement("div");
        box.append(document.createElement("dt"), document.createElement("dd"));
        box.firstChild.textContent = label;
        box.lastChild.textContent = value;
        return box;
      }),
    );
    byId("notes").replaceChildren(
      ...this.pair.notes.map((note) => {
        const item = document.createElement("li");
        item.textContent = note;
        return item;
      }),
    );
  }

  /** Keep the page in step with the player, frame by frame while it plays. */
  #follow() {
    const { player } = this;
    if (!player) return;
    byId("play").textContent = player.playing ? "Pause" : "Play";
    this.#show(player.position);
    if (player.playing) requestAnimationFrame(() => this.#follow());
  }

  #show(second) {
    const { duration } = this.pair;
    byId("cursor").style.left = `${(100 * second) / duration}%`;
    byId("time").textContent = `${second.toFixed(1)} / ${duration.toFixed(1)} s`;
    if (this.player?.playing) return; // a screen reader need not hear every frame
    byId("stack").setAttribute("aria-valuenow", second.toFixed(2));
    byId("stack").setAttribute("aria-valuetext", `${second.toFixed(1)} of ${duration.toFixed(1)} seconds`);
  }

  #listen() {
    byId("play").addEventListener("click", () => this.toggle());
    byId("close").addEventListener("click", () => this.close());
    byId("previous").addEventListener("click", () => this.#step(-1));
    byId("next").addEventListener("click", () => this.#step(1));
    byId("loop").addEventListener("change", (event) => this.player?.loop(event.target.checked));
    byId("sides").addEventListener("change", (event) => this.player?.choose(event.target.value));
    this.dialog.addEventListener("close", () => {
      this.#leave();
      document.querySelector(`.open[data-pair="${this.number}"]`).focus();
    });
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    const stack = byId("stack");
    stack.addEventListener("click", (event) => {
      this.seek(this.#placeUnder(event).time * this.pair.duration);
      this.play();
    });
    stack.addEventListener("pointermove", (event) => this.#read(event));
    stack.addEventListener("pointerleave", () => (byId("readout").textContent = ""));
  }

  #placeUnder(event) {
    const box = byId("stack").getBoundingClientRect();
    const time = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const canvas = event.target.closest("#stack")?.querySelector("canvas:hover");
    if (!canvas) return { time, height: null };
    const map = canvas.getBoundingClientRect();
    return { time, height: Math.min(Math.max((map.bottom - event.clientY) / map.height, 0), 0.999) };
  }

  #read(event) {
    const { time, height } = this.#placeUnder(event);
    const found = this.placeOf(time, height ?? 0);
    const value = height === null ? found.whole : found.difference;
    const more = found.lean > 0 ? "more in the test" : "less in the test";
    const how = height === null || Math.abs(found.lean) < 0.3 || value < 0.1 ? "" : `, ${more}`;
    const place = height === null ? "distance" : "local distance";
    byId("readout").textContent = `${(time * this.pair.duration).toFixed(2)} s: ${place} ${value.toFixed(2)}${how}`;
  }

  #step(by) {
    const open = [...document.querySelectorAll("#pairs .open")].filter((x) => x.checkVisibility());
    const at = open.findIndex((button) => Number(button.dataset.pair) === this.number);
    this.open(Number(open[(at + by + open.length) % open.length].dataset.pair));
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { target } = event;
    const presses = target.closest("button, input[type=checkbox]"); // Space is theirs
    const isRadio = target.matches("input[type=radio]"); // the arrows are its own
    const at = () => (this.player ? this.player.position : 0);
    const actions = {
      " ": presses ? null : () => this.toggle(),
      a: () => this.choose("reference"),
      b: () => this.choose("test"),
      x: () => this.choose(this.player?.side === "test" ? "reference" : "test"),
      ArrowLeft: isRadio ? null : () => this.seek(at() - 1),
      ArrowRight: isRadio ? null : () => this.seek(at() + 1),
      Home: () => this.seek(0),
      End: () => this.seek(this.pair.duration),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
