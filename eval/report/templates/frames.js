// The table of generated frames: sorting, filtering, enlarging. And the button that copies the command.
(() => {
  const table = document.getElementById("frames");
  if (table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const key = (row, column, numeric) => {
      const cell = row.cells[column];
      if (!numeric) return cell.textContent.trim();
      const data = cell.querySelector("data");
      return data ? Number(data.value) : null;
    };
    heads.forEach((head, column) => {
      if (!head.dataset.sort) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const numeric = head.dataset.sort === "number";
        const rows = [...body.rows].sort((a, b) => {
          const x = key(a, column, numeric), y = key(b, column, numeric);
          if (x === null || y === null) return (x === null) - (y === null); // what is missing comes last
          const order = numeric ? x - y : x.localeCompare(y, undefined, { numeric: true });
          return down ? -order : order;
        });
        body.append(...rows);
      });
    });

    const filters = document.querySelector(".filters");
    filters.hidden = false;
    filters.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-show]");
      if (!chosen) return;
      filters.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", b === chosen));
      for (const row of body.rows) row.hidden = !["all", row.dataset.accepted].includes(chosen.dataset.show);
    });

    const zoom = document.getElementById("zoom");
    const large = zoom.querySelector(".large");
    let current = null;
    let alone = null; // the label of the one picture that is shown, where it is one
    function only(label) {
      alone = label;
      large.classList.toggle("alone", label !== null);
      for (const figure of large.children) figure.classList.toggle("chosen", figure.dataset.label === label);
    }
    function enlarge(row) {
      current = row;
      const thumbs = [...row.querySelectorAll(".thumb")];
      large.replaceChildren(...thumbs.map((thumb) => {
        const figure = document.createElement("figure");
        figure.dataset.label = thumb.dataset.label;
        const image = document.createElement("img");
        image.src = thumb.querySelector("img").src; // the same data: the page holds it once
        image.alt = thumb.dataset.label;
        image.addEventListener("click", () => only(alone === null ? figure.dataset.label : null));
        const caption = document.createElement("figcaption");
        caption.textContent = thumb.dataset.label;
        figure.append(image, caption);
        return figure;
      }));
      only(thumbs.some((thumb) => thumb.dataset.label === alone) ? alone : null);
      const text = (part) => row.querySelector(part).textContent;
      zoom.querySelector("p").textContent = `${text(".name")}, ${text(".chip")}: ${text(".reason")}`;
      if (!zoom.open) zoom.showModal();
    }
    function step(by) {
      const rows = [...body.rows].filter((row) => !row.hidden && row.querySelector(".thumb"));
      enlarge(rows[(rows.indexOf(current) + by + rows.length) % rows.length]);
    }
    body.addEventListener("click", (event) => {
      const thumb = event.target.closest(".thumb");
      if (thumb) enlarge(thumb.closest("tr"));
    });
    zoom.querySelectorAll("[data-step]").forEach((button) =>
      button.addEventListener("click", () => step(Number(button.dataset.step)))
    );
    zoom.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) step(by);
    });
    zoom.addEventListener("click", (event) => event.target === zoom && zoom.close());
  }

  const copy = document.querySelector("[data-copy]");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent);
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy"), 1500);
    });
  }
})();
