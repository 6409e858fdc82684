// One dot a clip, a band a model: the distribution of the metric that is chosen.
(() => {
  const { clips, models, metrics, make, draw, print, withUnit } = measure;
  const holder = document.querySelector(".dots");
  if (!holder || !clips.length) return;
  const select = document.getElementById("metric");
  const log = document.getElementById("log");
  const note = document.getElementById("metric-note");
  const tip = make("div", { class: "tip", hidden: true });

  const groups = { errors: "Pose errors", consistency: "Consistency" };
  for (const [kind, label] of Object.entries(groups)) {
    const options = metrics.filter((m) => m.kind === kind && clips.some((c) => m.of(c) && m.of(c).value !== null));
    if (!options.length) continue;
    select.append(make("optgroup", { label }, ...options.map((m) => make("option", { value: m.id }, m.title))));
  }
  if (!select.options.length) {
    note.textContent = "No metric has a value on any clip.";
    document.querySelector("#distribution .bar").hidden = true;
    return;
  }

  const WIDTH = 1060, LEFT = 190, RIGHT = 150, TOP = 14, BOTTOM = 46, RADIUS = 4.2;

  // 1, 2 or 5 times a power of ten; on a logarithmic axis powers of ten, and between them where there is room.
  function ticks(low, high, logarithmic) {
    if (logarithmic) {
      const marks = [];
      const decades = Math.log10(high / low);
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        for (const m of decades > 3 ? [1] : [1, 2, 5]) marks.push(m * 10 ** e);
      return marks.filter((v) => v >= low * 0.999 && v <= high * 1.001);
    }
    const rough = (high - low) / 6;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const marks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9) + 1e-12; i++) marks.push(i * step);
    return marks;
  }
  const label = (v) => {
    if (v === 0) return "0";
    if (Math.abs(v) >= 1e5 || Math.abs(v) < 1e-4) return v.toExponential(0).replace("-", "−");
    return String(Number(v.toPrecision(3))).replace("-", "−");
  };

  // Dots that would overlap move up and down in turn; a crowd is pressed into its band.
  function swarm(points, half) {
    const columns = new Map();
    for (const point of points) {
      const column = Math.round(point.x / (2 * RADIUS));
      if (!columns.has(column)) columns.set(column, []);
      columns.get(column).push(point);
    }
    for (const list of columns.values()) {
      const step = Math.min(2 * RADIUS, (2 * half) / list.length);
      list.forEach((point, i) => (point.dy = (i % 2 ? 1 : -1) * Math.ceil(i / 2) * step));
      if (list.length % 2 === 0) list.forEach((point) => (point.dy -= step / 2));
    }
  }

  function show() {
    const metric = metrics.find((m) => m.id === select.value);
    const values = clips.map((c) => (metric.of(c) ? metric.of(c).value : null));
    const known = values.filter((v) => v !== null);
    const positive = known.every((v) => v > 0);
    log.disabled = !positive;
    const logarithmic = positive && log.checked;
    const spans = metric.figures.flatMap((f) => (f && f.interval95) || []).filter((v) => !logarithmic || v > 0);
    let low = Math.min(...ends(known), ...spans), high = Math.max(...ends(known), ...spans);
    if (!logarithmic && low > 0 && low < 0.5 * high) low = 0;
    if (high <= low) [low, high] = logarithmic ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    const scale = logarithmic ? Math.log : (v) => v;
    const right = WIDTH - RIGHT;
    const x = (v) => LEFT + ((scale(v) - scale(low)) / (scale(high) - scale(low))) * (right - LEFT);

    const crowd = Math.max(...models.map((_, m) => clips.filter((c) => c.model === m).length));
    const row = Math.min(110, Math.max(46, 22 + 9 * Math.sqrt(crowd)));
    const height = TOP + models.length * row + BOTTOM;
    const svg = draw("svg", {
      viewBox: `0 0 ${WIDTH} ${height}`, role: "img",
      "aria-label": `${metric.title} of every clip, by model; the table of clips holds the same figures`,
    });
    for (const v of ticks(low, high, logarithmic)) {
      svg.append(draw("line", { class: "grid", x1: x(v), x2: x(v), y1: TOP, y2: height - BOTTOM }));
      svg.append(draw("text", { class: "tick", x: x(v), y: height - BOTTOM + 18 }, label(v)));
    }
    svg.append(draw("text", { class: "tick", x: (LEFT + right) / 2, y: height - 6 },
      metric.title + (metric.unit ? ` in ${metric.unit}` : "") + (metric.higher_is_better ? ", higher is better" : ", lower is better")));
    svg.append(draw("text", { class: "tick", x: right + RIGHT / 2 + 10, y: height - BOTTOM + 18 }, "no value"));

    models.forEach((model, m) => {
      const middle = TOP + (m + 0.5) * row;
      const own = clips.filter((c) => c.model === m);
      if (m) svg.append(draw("line", { class: "grid", x1: 0, x2: WIDTH, y1: TOP + m * row, y2: TOP + m * row }));
      const name = model.name.length > 24 ? model.name.slice(0, 23) + "…" : model.name;
      svg.append(draw("text", { class: "name", x: LEFT - 16, y: middle - 2 }, draw("title", {}, model.name), name));
      svg.append(draw("text", { class: "count", x: LEFT - 16, y: middle + 14 },
        `${model.control ? "control, " : ""}${own.filter((c) => values[c.index] !== null).length} of ${own.length} clips`));
      const points = own.map((c) => ({ c, x: values[c.index] === null ? null : x(values[c.index]) }));
      const seen = points.filter((p) => p.x !== null);
      const unseen = points.filter((p) => p.x === null);
      const across = Math.max(1, Math.floor((RIGHT - 30) / (2 * RADIUS + 1.5)));
      const lines = Math.ceil(unseen.length / across);
      const step = Math.min(2 * RADIUS + 1.5, (row - 12) / Math.max(1, lines));
      unseen.forEach((p, i) => {
        p.x = right + 26 + (i % across) * (2 * RADIUS + 1.5);
        p.dy = (Math.floor(i / across) - (lines - 1) / 2) * step;
      });
      swarm(seen, row / 2 - 9);
      for (const p of [...seen, ...unseen]) {
        const outcome = measure.outcome(p.c);
        const kind = values[p.c.index] === null ? "none" : outcome === false ? "failed" : "ok";
        svg.append(draw("circle", {
          class: `dot ${kind}`, cx: p.x.toFixed(1), cy: (middle + p.dy).toFixed(1), r: RADIUS,
          style: `--tint: var(${model.tint})`, "data-clip": p.c.index,
        }));
      }
      const figure = metric.figures[m];
      if (figure && figure.mean !== null) {
        if (figure.interval95 && (!logarithmic || figure.interval95[0] > 0))
          svg.append(draw("line", { class: "span", x1: x(figure.interval95[0]), x2: x(figure.interval95[1]), y1: middle + row / 2 - 7, y2: middle + row / 2 - 7 }));
        if (!logarithmic || figure.mean > 0)
          svg.append(draw("path", { class: "mean", d: `M${x(figure.mean) - 5},${middle + row / 2 - 7}l5,-5l5,5l-5,5z` }, draw("title", {}, `mean ${withUnit(figure.mean, metric)}`)));
      }
    });
    holder.replaceChildren(svg, tip);
    note.textContent = metric.kind === "errors"
      ? "A dot is a clip that was registered; hollow: the first rule was not met. Ringed dots at the right have no value: the reason is in their label. The diamond is the mean of those that have, the bar its 95% interval. Click a dot to see its clip."
      : "A dot is a clip; hollow: the first rule was not met. Ringed dots at the right have no value: the reason is in their label. The diamond is the mean, the bar its 95% interval. Click a dot to see its clip.";
  }

  // Math.min(...list) overflows the stack for very long lists.
  const ends = (list) => list.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [list[0], list[0]]);

  holder.addEventListener("pointerover", (event) => {
    const dot = event.target.closest("[data-clip]");
    tip.hidden = !dot;
    if (!dot) return;
    const metric = metrics.find((m) => m.id === select.value);
    const clip = clips[dot.dataset.clip];
    const entry = metric.of(clip);
    const value = entry && entry.value !== null ? withUnit(entry.value, metric)
      : `no value${clip.failed ? ": " + clip.failed : entry && entry.because ? ": " + entry.because : ""}`;
    tip.textContent = `${clip.name} · ${value}`;
    const box = holder.getBoundingClientRect(), at = dot.getBoundingClientRect();
    tip.style.left = `${Math.max(90, Math.min(box.width - 90, at.left + at.width / 2 - box.left))}px`;
    tip.style.top = `${at.top - box.top}px`;
  });
  holder.addEventListener("pointerleave", () => (tip.hidden = true));
  holder.addEventListener("click", (event) => {
    const dot = event.target.closest("[data-clip]");
    if (dot) measure.choose(Number(dot.dataset.clip), "dots");
  });
  document.addEventListener("choose", ({ detail }) => {
    holder.querySelectorAll(".dot.chosen").forEach((dot) => dot.classList.remove("chosen"));
    const dot = holder.querySelector(`[data-clip="${detail.index}"]`);
    if (dot) dot.classList.add("chosen");
  });
  select.addEventListener("change", show);
  log.addEventListener("change", show);
  show();
})();
