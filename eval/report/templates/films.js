// Two videos of one path run as one: the first has the controls, the other follows.
(() => {
  const films = [...document.querySelectorAll(".films video")];
  if (!films.length) return;
  const [lead, ...others] = films;
  for (const film of others) {
    film.controls = false;
    film.addEventListener("click", () => (lead.paused ? lead.play() : lead.pause()));
    const follow = () => {
      const length = lead.duration || 1;
      const apart = ((film.currentTime - lead.currentTime + 1.5 * length) % length) - length / 2;
      if (lead.paused ? apart !== 0 : Math.abs(apart) > 0.12) film.currentTime = lead.currentTime;
    };
    for (const event of ["timeupdate", "seeked", "pause"]) lead.addEventListener(event, follow);
    lead.addEventListener("play", () => film.play());
    lead.addEventListener("pause", () => film.pause());
    lead.addEventListener("ratechange", () => (film.playbackRate = lead.playbackRate));
  }
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) lead.play().catch(() => {});
})();
