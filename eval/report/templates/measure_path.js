// A clip's camera path in 3D: where the cameras were asked to be, where they were found, what lies between.
(() => {
  const { clips, models, metrics, make, withUnit, modelOf } = measure;
  const canvas = document.querySelector("#paths canvas");
  const drawn = clips.filter((c) => c.trajectory);
  if (!canvas || !drawn.length) return;
  const at = (id) => document.getElementById(id);
  const context = canvas.getContext("2d");
  const select = at("path-clip"), time = at("time"), play = at("play");
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const add = (a, b, s = 1) => [a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const length = (a) => Math.hypot(...a);
  const unit = (a) => { const l = length(a); return l > 1e-12 ? a.map((v) => v / l) : [0, 0, 0]; };

  models.forEach((model, m) => {
    const own = drawn.filter((c) => c.model === m);
    if (own.length) select.append(make("optgroup", { label: model.name }, ...own.map((c) =>
      make("option", { value: c.index }, `${c.name}${c.words === "registered, follows the request" ? "" : ` (${c.words})`}`))));
  });
  const order = [...select.options].map((o) => Number(o.value));
  if (!order.length) return;

  const START = { turn: 0.65, tilt: 0.55, zoom: 1 };
  const eye = { ...START };
  // The first to be shown: of a model, not of the control, and with something to compare.
  const comparable = (i) => order.includes(i) && clips[i].trajectory[4] && 2 * clips[i].trajectory[1].filter(Boolean).length > clips[i].trajectory[0].length;
  const first = measure.telling.find((i) => comparable(i) && !modelOf(clips[i]).control);
  let clip = clips[first === undefined ? order[0] : first], timer = 0, view = null;
  const shown = { requested: true, recovered: true, between: true };

  // Up is -y, as in a world that starts at its first OpenCV camera; z where the cameras look along y.
  function prepare() {
    const [requested, recovered, requestedForward, recoveredForward, aligned, marked] = clip.trajectory;
    const points = (requested.some(Boolean) ? requested : recovered).filter(Boolean);
    const ahead = unit((requestedForward.some(Boolean) ? requestedForward : recoveredForward).filter(Boolean).reduce((s, v) => add(s, v), [0, 0, 0]));
    let up = [0, -1, 0];
    let north = unit(add(ahead, up, -dot(ahead, up)));
    if (Math.abs(dot(ahead, up)) > 0.97) up = [0, 0, 1];
    if (!length(north) || up[2]) north = unit(add([1, 0, 0], up, -up[0]));
    const floor = Math.min(...points.map((p) => dot(p, up))) - 0.25;
    view = { requested, recovered, requestedForward, recoveredForward, aligned, marked: marked || [], up, north, east: cross(north, up), floor };
    const frames = Math.max(requested.length, recovered.length);
    time.max = Math.max(0, frames - 1);
    time.value = time.max;
  }

  function projector(width, height) {
    const { up, north, east } = view;
    const ca = Math.cos(eye.turn), sa = Math.sin(eye.turn), ct = Math.cos(eye.tilt), st = Math.sin(eye.tilt);
    const level = add(north.map((v) => v * ca), east, sa);
    const forward = add(level.map((v) => v * ct), up, -st);
    const right = cross(forward, up).map((v) => v / ct);
    const above = cross(right, forward);
    const focal = 2 * Math.min(width * 0.72, height) * eye.zoom;
    return (p) => {
      const z = dot(p, forward) + 4.2;
      return z < 0.05 ? null : [width / 2 + (focal * dot(p, right)) / z, height / 2 - (focal * dot(p, above)) / z, z];
    };
  }
  function line(points, close = false) {
    context.beginPath();
    let pen = false;
    for (const p of points) {
      if (p) pen ? context.lineTo(p[0], p[1]) : context.moveTo(p[0], p[1]);
      pen = Boolean(p);
    }
    if (close) context.closePath();
    context.stroke();
  }
  function style(name, width, alpha = 1, dash = []) {
    context.strokeStyle = context.fillStyle = color(name);
    context.lineWidth = width;
    context.globalAlpha = alpha;
    context.setLineDash(dash);
  }
  function frustum(project, center, forward, size) {
    if (!forward) return;
    let x = unit(cross(forward, view.up.map((v) => -v))).map((v) => -v);
    if (!length(x)) x = view.north;
    const y = cross(forward, x);
    const corner = (u, v) => project(add(add(add(center, forward, size), x, 0.55 * u * size), y, 0.4 * v * size));
    const corners = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)], tip = project(center);
    if (!tip || corners.some((p) => !p)) return;
    line(corners, true);
    for (const end of corners) line([tip, end]);
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.lineJoin = context.lineCap = "round";
    const project = projector(width, height);
    const now = Number(time.value);
    const { requested, recovered, requestedForward, recoveredForward, up, north, east, floor } = view;
    style("--rule", 1);
    for (let i = -4; i <= 4; i++)
      for (const [a, b] of [[north, east], [east, north]]) {
        const on = (s) => project(add(add(up.map((v) => v * floor), a, (i / 4) * 1.3), b, s * 1.3));
        line([on(-1), on(1)]);
      }
    const drop = (p) => add(p, up, floor - dot(p, up)); // shadows on the floor make depth readable
    const tracks = [
      ["requested", requested, requestedForward, "--held", [6, 4]],
      ["recovered", recovered, recoveredForward, "--good", []],
    ].filter(([name]) => shown[name]);
    for (const [, points, , tint] of tracks) {
      style(tint, 1.2, 0.16);
      line(points.map((p) => p && project(drop(p))));
    }
    for (const [name, points, forwards, tint, dash] of tracks) {
      const ends = points.map((p) => p && project(p));
      style(tint, 1.2, 0.25, dash);
      line(ends);
      style(tint, 2.2, 1, dash);
      line(ends.slice(0, now + 1));
      points.forEach((p, i) => {
        if (!p || !ends[i]) return;
        const current = i === now;
        style(tint, current ? 2 : 1, current ? 1 : i < now ? 0.5 : 0.14);
        if (current || points.length <= 24 || i % Math.ceil(points.length / 16) === 0)
          frustum(project, p, forwards[i], current ? 0.26 : 0.15);
        style(tint, 1, i <= now ? 1 : 0.3);
        context.beginPath();
        context.arc(ends[i][0], ends[i][1], current ? 5 : 2.6, 0, 7);
        const lost = name === "requested" && view.aligned && !recovered[i];
        lost ? context.stroke() : context.fill();
      });
    }
    if (shown.between && view.aligned)
      requested.forEach((p, i) => {
        if (!p || !recovered[i]) return;
        style("--bad", i === now ? 3 : 1.8, i <= now ? 0.9 : 0.15);
        line([project(p), project(recovered[i])]);
      });
    if (shown.recovered) // where the path breaks
      for (const i of view.marked) {
        const end = recovered[i] && project(recovered[i]);
        if (!end) continue;
        style("--bad", 2.4);
        context.beginPath();
        context.arc(end[0], end[1], 9, 0, 7);
        context.stroke();
      }
    context.globalAlpha = 1;
    at("time-text").textContent = `frame ${now} of 0 to ${Number(time.max)}`;
  }

  function show(index) {
    clip = clips[index];
    select.value = index;
    prepare();
    const strip = at("path-strip");
    strip.hidden = !clip.strip;
    if (clip.strip) strip.src = clip.strip;
    strip.alt = `Frames of ${clip.name}`;
    const figures = metrics.filter((m) => ["rotation_deg", "position_share"].includes(m.key) && m.of(clip) && m.of(clip).value !== null);
    at("path-figures").textContent = [modelOf(clip).name, clip.words, ...figures.map((m) => `${m.title} ${withUnit(m.of(clip).value, m)}`)].filter(Boolean).join(" · ");
    const found = view.recovered.filter(Boolean).length, asked = view.requested.filter(Boolean).length;
    at("path-note").textContent = !found ? "Nothing was recovered: only the requested path is shown."
      : !asked ? "There is no requested path: the recovered one is shown in a gauge of its own (origin, turn and size mean nothing)."
      : !view.aligned ? "The two paths could not be aligned: each is in a gauge of its own, and nothing may be read from the gap between them."
      : `The recovered path is moved onto the requested one by a similarity (turn, shift, scale) fitted to all frames, so what is left is error of shape.${found < asked ? ` ${asked - found} of ${asked} requested frames were not registered: rings.` : ""}${view.marked.length ? ` Large red rings: where the path breaks (frames ${view.marked.join(", ")}).` : ""}`;
    draw();
  }

  const step = (by) => measure.choose(order[(order.indexOf(clip.index) + by + order.length) % order.length], "paths");
  document.querySelectorAll("#paths [data-step]").forEach((b) => b.addEventListener("click", () => step(Number(b.dataset.step))));
  select.addEventListener("change", () => measure.choose(Number(select.value), "paths"));
  document.addEventListener("choose", ({ detail }) => clips[detail.index].trajectory && show(detail.index));
  time.addEventListener("input", () => { stop(); draw(); });

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (time.value === time.max) time.value = 0;
    play.textContent = "Pause";
    timer = setInterval(() => {
      if (Number(time.value) >= Number(time.max)) return stop();
      time.value = Number(time.value) + 1;
      draw();
    }, 140);
    draw();
  });

  let last = null;
  canvas.addEventListener("pointerdown", (event) => { last = event; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    turn(-(event.clientX - last.clientX) * 0.008, (event.clientY - last.clientY) * 0.008);
    last = event;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // plain wheel scrolls the page; pinching arrives with ctrl
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.01));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    if (moves[event.key]) turn(...moves[event.key]);
    else if ("+=".includes(event.key)) zoom(1.2);
    else if (event.key === "-") zoom(1 / 1.2);
    else return;
    event.preventDefault();
  });
  function turn(by, tilt) {
    eye.turn += by;
    eye.tilt = Math.max(-1.5, Math.min(1.5, eye.tilt + tilt));
    draw();
  }
  function zoom(factor) {
    eye.zoom = Math.max(0.3, Math.min(12, eye.zoom * factor));
    draw();
  }
  document.querySelectorAll("#paths [data-zoom]").forEach((button) =>
    button.addEventListener("click", () => {
      if (button.dataset.zoom !== "reset") return zoom(Number(button.dataset.zoom));
      Object.assign(eye, START);
      draw();
    }));

  const legend = document.querySelector("#paths .legend");
  for (const [name, label, tint, dash] of [["requested", "requested", "--held", true], ["recovered", "recovered", "--good"], ["between", "error between the two", "--bad"]]) {
    const box = make("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => { shown[name] = box.checked; draw(); });
    legend.append(make("label", {}, box, make("i", { style: `border-color: var(${tint})${dash ? "; border-top-style: dashed" : ""}` }), label));
  }
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  show(clip.index);
})();
