/** One clock for everything on screen that counts: it runs only while something does, once a second. */

/** @type {Set<() => void>} */
const counting = new Set();
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/**
 * Call `step` now and every second, until the function that this returns is called.
 * @param {() => void} step
 */
export function everySecond(step) {
  step();
  counting.add(step);
  timer ??= setInterval(() => {
    for (const each of counting) each();
  }, 1000);
  return () => {
    counting.delete(step);
    if (counting.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}
