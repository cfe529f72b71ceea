// Keeps the times on a page of the back office up to date: "3 min ago" grows, "expires in 45 s" counts down.
// The page's own time of rendering is taken from the server, so that a wrong clock here does not matter.

(() => {
  /** @param {number} seconds */
  const span = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) {
      const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
      return minutes < 5 && rest ? `${minutes} min ${rest} s` : `${minutes} min`;
    }
    if (whole < 48 * 3600) {
      const [hours, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
      return rest ? `${hours} h ${rest} min` : `${hours} h`;
    }
    return `${Math.floor(whole / 86400)} d`;
  };

  /** @type {HTMLMetaElement | null} */
  const meta = document.querySelector("meta[name=served-at]");
  const served = Number(meta?.content) || Date.now();
  const start = performance.now();
  const marks = [
    .../** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-since], time[data-until]")),
  ];

  const tick = () => {
    const now = served + (performance.now() - start);
    for (const mark of marks) {
      const { since, until, suffix } = mark.dataset;
      if (since) mark.textContent = span((now - Number(since)) / 1000) + (suffix ?? "");
      else mark.textContent = span((Number(until) - now) / 1000);
    }
  };

  if (marks.length) setInterval(tick, 1000);
})();
