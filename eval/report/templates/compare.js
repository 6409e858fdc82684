// The large picture with a divider: two of a view's pictures, one clipped over the other.
(() => {
  const box = document.getElementById("compare");
  const views = [...document.querySelectorAll(".view")].filter((v) => v.querySelector("img"));
  if (!box || !views.length) return;
  box.hidden = false;
  const stage = box.querySelector(".stage");
  const range = stage.querySelector("input");
  const selects = [...box.querySelectorAll("select")];
  let current = 0;

  function show() {
    const view = views[current];
    for (const select of selects) {
      const side = select.dataset.side;
      const source = view.querySelector(`figure[data-role="${select.value}"] img`);
      const image = stage.querySelector(`img[data-side="${side}"]`);
      image.style.visibility = source ? "visible" : "hidden";
      if (source) image.src = source.src;
      image.alt = source ? source.alt : "";
      stage.querySelector(`.tag.${side}`).textContent =
        select.selectedOptions[0].textContent + (source ? "" : ": no picture");
    }
    box.querySelector("output").textContent = `${view.dataset.name} (${current + 1} of ${views.length})`;
    views.forEach((v, i) => v.classList.toggle("chosen", i === current));
  }

  const slide = () => stage.style.setProperty("--x", `${range.value}%`);
  function follow(event) {
    const area = stage.getBoundingClientRect();
    range.value = (100 * (event.clientX - area.left)) / area.width;
    slide();
  }
  range.addEventListener("input", slide);
  stage.addEventListener("pointerdown", follow);
  stage.addEventListener("pointermove", (event) => event.buttons && follow(event));
  selects.forEach((select) => select.addEventListener("change", show));
  box.querySelectorAll("[data-step]").forEach((button) =>
    button.addEventListener("click", () => {
      current = (current + Number(button.dataset.step) + views.length) % views.length;
      show();
    })
  );
  stage.querySelectorAll("img").forEach((image) =>
    image.addEventListener("load", () => stage.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight))
  );
  views.forEach((view, i) =>
    view.querySelectorAll("figure img").forEach((image) =>
      image.addEventListener("click", () => {
        current = i;
        show();
        box.scrollIntoView({ behavior: "smooth", block: "nearest" });
      })
    )
  );
  show();
})();
