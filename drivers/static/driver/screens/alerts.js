/** What is heard and felt: a chime and a buzz for a new offer, a short note for a message. */

import { current } from "./prefs.js";

/** @type {AudioContext | null} */
let audio = null;

const TUNES = {
  // Frequency in hertz, start and length in seconds: rising, so that it is not taken for a warning.
  offer: [
    [660, 0, 0.16],
    [880, 0.17, 0.16],
    [1175, 0.34, 0.3],
    [880, 0.8, 0.16],
    [1175, 0.97, 0.34],
  ],
  message: [
    [784, 0, 0.14],
    [988, 0.15, 0.22],
  ],
};
const BUZZES = { offer: [220, 90, 220, 90, 420], message: [120] };

/** Browsers make sound only after a tap: call this from one. */
export function unlock() {
  try {
    audio ??= new AudioContext();
    if (audio.state === "suspended") void audio.resume();
  } catch {
    // A phone without sound still vibrates and shows.
  }
}

/** @returns {"ready" | "locked" | "off" | "none"} */
export function soundState() {
  if (!("AudioContext" in window)) return "none";
  if (!current().sound) return "off";
  return audio?.state === "running" ? "ready" : "locked";
}

/** @param {"offer" | "message"} what */
export function alertOf(what) {
  if (current().sound) play(what);
  // Before the first tap the browser refuses to vibrate, and complains.
  if (current().vibration && navigator.userActivation?.hasBeenActive) navigator.vibrate?.(BUZZES[what]);
}

/** @param {"offer" | "message"} what */
function play(what) {
  if (audio?.state !== "running") return;
  const start = audio.currentTime + 0.02;
  for (const [frequency = 0, after = 0, length = 0] of TUNES[what]) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.type = "triangle";
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, start + after);
    volume.gain.linearRampToValueAtTime(0.9, start + after + 0.015);
    volume.gain.exponentialRampToValueAtTime(0.001, start + after + length);
    tone.connect(volume).connect(audio.destination);
    tone.start(start + after);
    tone.stop(start + after + length);
  }
}
