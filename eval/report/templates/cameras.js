// The cameras in 3D: frusta on a canvas, turned about the middle of the photos.
(() => {
  const holder = document.getElementById("camera-data");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  const canvas = document.querySelector(".orbit canvas");
  const tip = document.querySelector(".orbit .tip");
  const context = canvas.getContext("2d");

  const add = (a, b, s = 1) => [a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const length = (a) => Math.hypot(...a);
  const unit = (a) => { const l = length(a); return l > 1e-12 ? a.map((v) => v / l) : [0, 0, 0]; };
  const column = (m, j) => [m[0][j], m[1][j], m[2][j]];
  const mean = (list) => list.reduce((sum, v) => add(sum, v), [0, 0, 0]).map((v) => v / list.length);

  const groups = [
    { key: "training", label: "Training photos", color: "--ink", width: 1.4, of: data.training },
    { key: "heldout", label: "Held-out photos", color: "--held", width: 1.4, dash: [4, 3], of: data.heldout },
    { key: "accepted", label: "Generated, accepted", color: "--good", width: 1.4, of: data.generated.filter((c) => c.accepted) },
    { key: "rejected", label: "Generated, rejected", color: "--bad", width: 1.4, of: data.generated.filter((c) => !c.accepted) },
  ];
  for (const group of groups) {
    group.shown = true;
    group.cameras = group.of.filter((c) => c.world_from_cam).map((c) => ({
      name: c.name, group, center: column(c.world_from_cam, 3),
      x: column(c.world_from_cam, 0), y: column(c.world_from_cam, 1), z: column(c.world_from_cam, 2),
    }));
  }
  const all = groups.flatMap((g) => g.cameras);
  if (!all.length) return;

  // The world as people stand in it: up is the photos' up; the view starts behind them.
  const base = groups[0].cameras.length ? groups[0].cameras : all;
  const middle = mean(all.map((c) => c.center));
  const radius = Math.max(...all.map((c) => length(add(c.center, middle, -1)))) || 1;
  let up = unit(mean(base.map((c) => c.y)).map((v) => -v));
  if (!length(up)) up = [0, -1, 0];
  const ahead = mean(base.map((c) => c.z));
  let north = unit(add(ahead, up, -dot(ahead, up)));
  if (!length(north)) north = unit(cross(up, Math.abs(up[0]) < 0.9 ? [1, 0, 0] : [0, 0, 1]));
  const east = cross(north, up);
  const depth = 0.16 * radius * Math.min(1, 5 / Math.sqrt(all.length));
  const floor = Math.min(...all.map((c) => dot(add(c.center, middle, -1), up))) - 0.6 * depth;

  const start = { turn: 0.5, tilt: 0.6, zoom: 1 };
  const eye = { ...start };
  let points = [];

  function projector(width, height) {
    const ca = Math.cos(eye.turn), sa = Math.sin(eye.turn), ct = Math.cos(eye.tilt), st = Math.sin(eye.tilt);
    const level = add(north.map((v) => v * ca), east, sa);
    const forward = add(level.map((v) => v * ct), up, -st);
    const right = cross(forward, up).map((v) => v / ct);
    const above = cross(right, forward);
    const distance = 4.2 * radius;
    const focal = 2 * Math.min(width * 0.72, height) * eye.zoom;
    return (p) => {
      const d = add(p, middle, -1);
      const z = dot(d, forward) + distance;
      if (z < 0.05 * radius) return null;
      return [width / 2 + (focal * dot(d, right)) / z, height / 2 - (focal * dot(d, above)) / z, z];
    };
  }

  function path(project, corners, close) {
    const seen = corners.map(project);
    if (seen.some((p) => !p)) return;
    context.beginPath();
    seen.forEach((p, i) => (i ? context.lineTo(p[0], p[1]) : context.moveTo(p[0], p[1])));
    if (close) context.closePath();
    context.stroke();
  }

  function grid(project, color) {
    context.strokeStyle = color;
    context.lineWidth = 1;
    context.setLineDash([]);
    for (let i = -4; i <= 4; i++) {
      for (const [a, b] of [[north, east], [east, north]]) {
        const at = (s) => add(add(add(middle, up, floor), a, (i / 4) * 1.15 * radius), b, s * 1.15 * radius);
        path(project, [at(-1), at(1)], false);
      }
    }
  }

  function frustum(project, c) {
    const corner = (u, v) => add(add(add(c.center, c.z, depth), c.x, u * 0.55 * depth), c.y, v * 0.4 * depth);
    const corners = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
    path(project, corners, true);
    for (const end of corners) path(project, [c.center, end], false);
    path(project, [corner(-0.35, -1), corner(0, -1.4), corner(0.35, -1)], false); // this side up
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.lineJoin = "round";
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const project = projector(width, height);
    grid(project, color("--rule"));
    points = [];
    for (const c of all) {
      const p = c.group.shown && project(c.center);
      if (p) points.push({ c, p });
    }
    points.sort((a, b) => b.p[2] - a.p[2]); // the nearest last
    for (const { c } of points) {
      context.strokeStyle = color(c.group.color);
      context.lineWidth = c.group.width;
      context.setLineDash(c.group.dash || []);
      frustum(project, c);
    }
  }

  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    last = event;
    canvas.setPointerCapture(event.pointerId);
    tip.hidden = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last) {
      turn(-(event.clientX - last.clientX) * 0.008, (event.clientY - last.clientY) * 0.008);
      last = event;
      return;
    }
    let best = null, nearest = 14;
    for (const { c, p } of points) {
      const gap = Math.hypot(p[0] - event.offsetX, p[1] - event.offsetY);
      if (gap <= nearest) [best, nearest] = [{ c, p }, gap];
    }
    tip.hidden = !best;
    if (best) {
      tip.textContent = best.c.name;
      tip.style.left = `${best.p[0]}px`;
      tip.style.top = `${best.p[1]}px`;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
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
  document.querySelectorAll("[data-zoom]").forEach((button) =>
    button.addEventListener("click", () => {
      if (button.dataset.zoom !== "reset") return zoom(Number(button.dataset.zoom));
      Object.assign(eye, start);
      draw();
    })
  );

  const legend = document.querySelector(".legend");
  for (const group of groups) {
    if (!group.cameras.length) continue;
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    const line = document.createElement("i");
    line.style.borderColor = `var(${group.color})`;
    if (group.dash) line.style.borderTopStyle = "dashed";
    box.addEventListener("change", () => { group.shown = box.checked; draw(); });
    label.append(box, line, `${group.label} (${group.cameras.length})`);
    legend.append(label);
  }
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
