// The clips: found, filtered, sorted, and shown a page at a time as pictures or as a table.
(() => {
  const { clips, models, rules, metrics, make, draw, print, withUnit, modelOf } = measure;
  const gallery = document.getElementById("gallery");
  if (!gallery || !clips.length) return;
  const at = (id) => document.getElementById(id);
  const find = at("find"), ofModel = at("of-model"), state = at("state"), sort = at("sort"), down = at("down");
  const PER_PAGE = { cards: 12, table: 50 };
  let view = "cards", page = 0, list = clips, chosen = null;

  models.forEach((model, i) => ofModel.append(make("option", { value: i }, model.name)));
  rules.forEach((rule, i) => state.append(make("option", { value: `rule:${i}` }, `fails ${rule.key}`)));
  sort.append(make("optgroup", { label: "Metrics" }, ...metrics.map((m) => make("option", { value: m.id }, m.title))));

  const rank = [];
  measure.telling.forEach((index, i) => (rank[index] = i));
  const haystacks = clips.map((c) =>
    [c.name, c.words, c.group, c.prompt, c.status, c.motion, c.failed, ...c.causes, ...c.notes].join("\n").toLowerCase());
  const disagree = (c) => new Set(c.verdicts.filter((v) => v && v.success !== null).map((v) => v.success)).size > 1;
  const astray = (c) => /^registered, (but|inconsistent)/.test(c.words);
  const kept = (c) => {
    if (state.value.startsWith("rule:")) {
      const verdict = c.verdicts[Number(state.value.slice(5))];
      return Boolean(verdict) && verdict.success === false;
    }
    return {
      "": true, failed: c.words === "not registered", recovered: c.words.startsWith("registered"),
      astray: astray(c), disagree: disagree(c),
      noted: c.causes.length + c.notes.length > 0, unreadable: Boolean(c.failed),
    }[state.value];
  };
  const key = () => {
    if (sort.value === "telling") return (c) => rank[c.index];
    if (sort.value === "name") return (c) => c.name;
    if (sort.value === "registered") return (c) => (c.failed || c.frames === null ? null : c.frames ? c.registered / c.frames : 0);
    const metric = metrics.find((m) => m.id === sort.value);
    return metric ? (c) => (metric.of(c) ? metric.of(c).value : null) : null;
  };

  function update(toPage = 0) {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    list = clips.filter((c) =>
      (ofModel.value === "" || c.model === Number(ofModel.value)) && kept(c) &&
      words.every((word) => haystacks[c.index].includes(word)));
    const by = key(), way = down.getAttribute("aria-pressed") === "true" ? -1 : 1;
    if (by) {
      list.sort((a, b) => {
        const x = by(a), y = by(b);
        if (x === null || y === null) return (x === null) - (y === null); // what is missing comes last
        return way * (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
      });
    } else if (way < 0) list.reverse();
    page = toPage;
    show();
  }

  function show() {
    const per = PER_PAGE[view], pages = Math.max(1, Math.ceil(list.length / per));
    page = Math.max(0, Math.min(page, pages - 1));
    const shown = list.slice(page * per, (page + 1) * per);
    at("found").textContent = list.length === clips.length
      ? `${clips.length} clip${clips.length === 1 ? "" : "s"}` : `${list.length} of ${clips.length} clips`;
    if (!shown.length) gallery.replaceChildren(make("p", { class: "empty" }, "No clip is like that."));
    else if (view === "cards") gallery.replaceChildren(...shown.map(card));
    else gallery.replaceChildren(table(shown));
    for (const holder of document.querySelectorAll("#clips .pages")) {
      if (pages === 1) { holder.replaceChildren(); continue; }
      const step = (by, label, text) => {
        const button = make("button", { type: "button", "aria-label": label, disabled: page + by < 0 || page + by >= pages }, text);
        button.addEventListener("click", () => { page += by; show(); });
        return button;
      };
      const field = make("input", { type: "number", min: 1, max: pages, value: page + 1, "aria-label": "Page" });
      field.addEventListener("change", () => { page = Number(field.value) - 1 || 0; show(); });
      holder.replaceChildren(step(-1, "Previous page", "‹"), field, `of ${pages}`, step(1, "Next page", "›"));
    }
  }

  const SIGNS = { true: ["met", "✓"], false: ["unmet", "✗"], null: ["unasked", "–"] };
  function chip(rule, verdict) {
    const success = verdict ? verdict.success : null;
    if (verdict && success === null && verdict.share !== null) { // graded: a share, neither met nor unmet
      const per = `${Math.round(100 * verdict.share)}%`;
      return make("span", { class: "rule graded", title: verdict.because, "aria-label": `${rule.key} ${per}` }, `${rule.key} ${per}`);
    }
    const [kind, sign] = SIGNS[success === undefined ? null : success];
    const share = verdict && verdict.share !== null && verdict.share > 0 && verdict.share < 1
      ? ` ${Math.round(100 * verdict.share)}%` : "";
    const because = (verdict && verdict.because) || (success === null ? "could not be asked" : "");
    const said = { met: "met", unmet: "not met", unasked: "not asked" }[kind];
    return make("span", { class: `rule ${kind}`, title: because, "aria-label": `${rule.key} ${said}` }, `${sign} ${rule.key}${share}`);
  }

  function pips(clip) {
    if (!clip.frames || clip.failed) return null;
    const share = Math.min(1, (clip.registered || 0) / clip.frames);
    return make("span", { class: "registered", title: clip.sizes.length > 1 ? `COLMAP made several models: ${clip.sizes.join(", ")} frames` : null },
      make("span", { class: "track", "aria-hidden": "true" }, make("span", { style: `width:${(100 * share).toFixed(1)}%` })),
      `${clip.registered === null ? "–" : clip.registered} of ${clip.frames} frames registered`);
  }

  // The path from above, in miniature: the plane of its two largest extents.
  function miniature(clip) {
    const [requested, recovered] = clip.trajectory;
    const all = [...requested, ...recovered].filter(Boolean);
    const extent = [0, 1, 2].map((i) => Math.max(...requested.concat(requested.length ? [] : recovered).filter(Boolean).map((p) => Math.abs(p[i])), 0));
    const [a, b] = [0, 1, 2].sort((i, j) => extent[j] - extent[i]);
    const reach = Math.min(2.2, Math.max(...all.map((p) => Math.max(Math.abs(p[a]), Math.abs(p[b])))) || 1);
    const place = (p) => `${(48 + (34 * p[a]) / reach).toFixed(1)},${(36 + (28 * p[b]) / reach).toFixed(1)}`;
    const lines = (points, kind) => {
      let d = "", pen = false;
      for (const p of points) { if (p) d += (pen ? "L" : "M") + place(p); pen = Boolean(p); }
      return draw("path", { class: kind, d });
    };
    const svg = draw("svg", { viewBox: "0 0 96 72", "aria-hidden": "true" }, lines(requested, "requested"), lines(recovered, "recovered"));
    const start = requested.find(Boolean) || recovered.find(Boolean);
    if (start) { const [cx, cy] = place(start).split(","); svg.append(draw("circle", { cx, cy, r: 2.6 })); }
    const button = make("button", { type: "button", class: "miniature", "aria-label": `Show the path of ${clip.name}`, title: "Show the path" }, svg);
    button.addEventListener("click", () => {
      measure.choose(clip.index, "clips");
      document.getElementById("paths").scrollIntoView({ behavior: "smooth", block: "start" });
    });
    return button;
  }

  function picture(clip) {
    if (clip.strip) {
      const image = make("img", { src: clip.strip, alt: `Frames of ${clip.name}`, loading: "lazy" });
      image.addEventListener("click", () => image.classList.toggle("large"));
      return image;
    }
    return make("div", { class: "nopicture" }, clip.link ? make("a", { href: clip.link }, "frames in a file of the run") : "no frames to show");
  }

  function card(clip) {
    const model = modelOf(clip);
    const errors = metrics.filter((m) => m.of(clip) && m.of(clip).value !== null).slice(0, 60);
    return make("article", { class: `clip${clip.index === chosen ? " chosen" : ""}`, "data-clip": clip.index, style: `--tint: var(${model.tint})` },
      make("div", { class: "frames-strip" }, picture(clip)),
      make("div", { class: "about" },
        make("div", { class: "words" },
          make("h3", {}, make("span", { class: "of-model" }, model.name), make("span", { class: "name" }, clip.name)),
          make("p", { class: "verdicts" }, ...(clip.failed ? [make("span", { class: "rule unmet" }, "could not be measured")] : rules.map((rule, i) => chip(rule, clip.verdicts[i])))),
          make("p", { class: "facts-line" }, pips(clip), clip.failed ? null : make("span", { class: astray(clip) ? "astray" : null }, clip.words),
            clip.failed || clip.recovered ? null : make("span", {}, clip.status),
            clip.motion ? make("span", { title: clip.motionBecause || null }, `motion: ${clip.motion}`) : null),
          clip.failed ? make("p", { class: "cause" }, clip.failed) : null,
          clip.causes.length ? make("p", { class: clip.recovered ? "said" : "cause" }, make("b", {}, clip.recovered ? "Registered, but: " : "Why: "), clip.causes.join("; ")) : null,
          clip.prompt ? make("p", { class: "prompt" }, `“${clip.prompt}”`) : null,
          ...clip.notes.map((said) => make("p", { class: "said" }, said)),
          errors.length ? make("details", {}, make("summary", {}, "All figures"),
            make("dl", {}, ...errors.flatMap((m) => [make("dt", {}, m.title), make("dd", {}, withUnit(m.of(clip).value, m))]))) : null),
        clip.trajectory ? miniature(clip) : null));
  }

  function table(shown) {
    const columns = metrics.filter((m) => clips.some((c) => m.of(c)));
    const head = make("tr", {}, ...["Clip", "Model", "Registered", ...rules.map((r) => r.key), ...columns.map((m) => m.title + (m.unit ? ` (${m.unit})` : "")), "Motion", "Causes"].map((t) => make("th", { scope: "col" }, t)));
    const rows = shown.map((c) => {
      const open = make("button", { type: "button", class: "plainlink" }, c.name);
      open.addEventListener("click", () => measure.choose(c.index, "table"));
      return make("tr", { class: c.index === chosen ? "chosen" : null },
        make("th", { scope: "row" }, open), make("td", {}, modelOf(c).name),
        make("td", { class: "n" }, c.failed || !c.frames ? "–" : `${c.registered === null ? "–" : c.registered} of ${c.frames}`),
        ...rules.map((rule, i) => make("td", {}, chip({ key: "" }, c.verdicts[i]))),
        ...columns.map((m) => make("td", { class: "n", title: (m.of(c) && m.of(c).because) || null }, print(m.of(c) ? m.of(c).value : null, m.digits))),
        make("td", {}, c.motion), make("td", {}, c.failed || c.causes.join("; ")));
    });
    return make("div", { class: "scroll" }, make("table", { class: "clip-table" }, make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  function turnTo(index) {
    let place = list.findIndex((c) => c.index === index);
    if (place < 0) { // filtered away: show all, so that it can be seen
      find.value = ofModel.value = state.value = "";
      update();
      place = list.findIndex((c) => c.index === index);
    }
    page = Math.floor(place / PER_PAGE[view]);
    show();
  }
  document.addEventListener("choose", ({ detail }) => {
    chosen = detail.index;
    if (detail.from === "dots" || detail.from === "table") {
      if (detail.from === "table") setView("cards");
      turnTo(chosen);
      const shown = gallery.querySelector(`[data-clip="${chosen}"]`) || gallery.querySelector(".chosen");
      if (shown) shown.scrollIntoView({ behavior: "smooth", block: "center" });
    }
    gallery.querySelectorAll("article").forEach((a) => a.classList.toggle("chosen", Number(a.dataset.clip) === chosen));
  });

  function setView(name) {
    view = name;
    document.querySelectorAll("[data-view]").forEach((b) => b.setAttribute("aria-pressed", b.dataset.view === view));
  }
  document.querySelectorAll("[data-view]").forEach((button) =>
    button.addEventListener("click", () => {
      const first = page * PER_PAGE[view];
      setView(button.dataset.view);
      page = Math.floor(first / PER_PAGE[view]);
      show();
    }));
  let waiting = 0;
  find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 120); });
  for (const control of [ofModel, state, sort]) control.addEventListener("change", () => update());
  down.addEventListener("click", () => {
    down.setAttribute("aria-pressed", down.getAttribute("aria-pressed") !== "true");
    update();
  });
  update();
})();
