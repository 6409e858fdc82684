// The clips, read once; and which of them is chosen, which the other scripts listen to.
const measure = (() => {
  const data = JSON.parse(document.getElementById("measure-data").textContent);
  const text = (number) => data.texts[number] || "";
  const clips = data.clips.map((row, index) => {
    const [name, model, words, group, prompt, path, status, motion, motionBecause, failed, frames, width, height,
      registered, recovered, sizes, causes, notes, verdicts, errors, consistency] = row;
    return {
      index, name: text(name), model, words: text(words), group: text(group), prompt: text(prompt), path: text(path),
      status: text(status), motion: text(motion), motionBecause: text(motionBecause), failed: text(failed),
      frames, width, height, registered, recovered, sizes,
      causes: causes.map(text), notes: notes.map(text),
      verdicts: verdicts.map((v) => v && { success: v[0], share: v[1], because: text(v[2]) }),
      errors: errors.map((e) => e && { value: e[0], worst: e[1], because: text(e[2]) }),
      consistency: consistency.map((v) => v && { value: v[0], because: text(v[1]) }),
      strip: data.strips[index], link: data.links[index], trajectory: data.paths[index],
    };
  });

  // Failed is what was tried and not registered; a clip that could not be measured is neither.
  const outcome = (clip) => {
    if (clip.failed) return null;
    const first = clip.verdicts[0];
    return first && first.success !== null ? first.success : clip.recovered;
  };
  const metrics = ["errors", "consistency"].flatMap((kind) =>
    data[kind].map((info, i) => ({ ...info, kind, id: `${kind}:${i}`, of: (clip) => clip[kind][i] }))
  );
  const stranger = { name: "", control: false, tint: "--second" };

  const print = (value, digits) =>
    value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
  const withUnit = (value, info) =>
    print(value, info.digits) + (value === null || !info.unit ? "" : (info.unit === "°" ? "" : " ") + info.unit);

  // Text goes in as text, never as markup.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }
  function draw(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function choose(index, from) {
    document.dispatchEvent(new CustomEvent("choose", { detail: { index, from } }));
  }
  document.querySelectorAll(".scripted").forEach((part) => {
    part.hidden = !clips.length || (part.id === "paths" && !Object.keys(data.paths).length);
  });
  return {
    ...data, clips, metrics, outcome, print, withUnit, make, draw, choose,
    modelOf: (clip) => data.models[clip.model] || stranger,
  };
})();
