"use strict";
// The page of a net: choosing, finding, moving. What it shows stands in the page
// already; nothing here makes elements of text.
(() => {
  const all = (what, of = document) => [...of.querySelectorAll(what)];
  const one = (id) => document.getElementById(id);
  const picture = one("picture"), svg = one("graph");
  const groups = new Map(all("[data-layer]").map((g) => [g.dataset.layer, g]));
  const rows = new Map(all("[data-row]").map((row) => [row.dataset.row, row]));
  let chosen = null;

  function choose(at, move) {
    if (chosen !== null) {
      groups.get(chosen)?.classList.remove("chosen");
      rows.get(chosen)?.classList.remove("chosen");
    }
    all(".edges .near").forEach((path) => path.classList.remove("near"));
    all("#panel > section").forEach((x) => { x.hidden = true; });
    chosen = at;
    const details = one(at === null ? "start" : "layer-" + at) || one("start");
    details.hidden = false;
    one("panel").scrollTop = 0;
    if (at === null) return;
    rows.get(at)?.classList.add("chosen");
    const group = groups.get(at);
    if (!group) {
      if (move && rows.get(at)) {
        one("all").open = true;
        rows.get(at).scrollIntoView({ block: "center" });
      }
      return;
    }
    group.classList.add("chosen");
    const node = group.parentNode.dataset.node;
    all(`.edges [data-from="${node}"], .edges [data-to="${node}"]`)
      .forEach((path) => path.classList.add("near"));
    if (move) show(group);
  }

  // Finding: by name first, then by type; Enter goes on to the next.
  const texts = [...rows].map(([at, row]) =>
    [at, row.cells[0].textContent.toLowerCase(), row.cells[1].textContent.toLowerCase()]);
  let hits = [], hit = 0;
  function find(next) {
    const wanted = one("search").value.trim().toLowerCase();
    if (!next) {
      const ranks = [(x) => x[1] === wanted, (x) => x[1].startsWith(wanted),
        (x) => x[1].includes(wanted), (x) => x[2].includes(wanted)];
      const found = wanted ? ranks.flatMap((fits) => texts.filter(fits)) : [];
      hits = [...new Set(found.map((x) => x[0]))];
      hit = 0;
    } else if (hits.length) {
      hit = (hit + next + hits.length) % hits.length;
    }
    const none = wanted ? "none found" : "";
    one("found").textContent = hits.length ? `${hit + 1} of ${hits.length}` : none;
    choose(hits.length ? hits[hit] : null, true);
  }
  one("search").addEventListener("input", () => find(0));
  one("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") find(event.shiftKey ? -1 : 1);
  });

  for (const [at, row] of rows) {
    row.addEventListener("click", () => choose(at, true));
  }
  all("th").forEach((head, column) => head.addEventListener("click", () => {
    const down = head.dataset.sorted !== "down";
    all("th").forEach((x) => delete x.dataset.sorted);
    head.dataset.sorted = down ? "down" : "up";
    const isNumber = head.classList.contains("number");
    const value = (row) => row.cells[column].textContent;
    const number = (row) => Number(value(row).replaceAll(",", "")) || 0;
    const order = [...rows.values()].sort((a, b) => isNumber
      ? number(b) - number(a) : value(a).localeCompare(value(b), "en", { numeric: true }));
    one("all").querySelector("tbody").append(...(down ? order : order.reverse()));
  }));

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose(null);
  });
  if (!svg) return;

  // Moving: the picture's window is its viewBox.
  picture.classList.add("live");
  const whole = svg.viewBox.baseVal;
  const world = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  let view = { x: 0, y: 0, scale: 1 };
  const size = () => ({ width: picture.clientWidth || 1, height: picture.clientHeight || 1 });

  function draw() {
    const { width, height } = size();
    svg.setAttribute("viewBox",
      [view.x, view.y, width / view.scale, height / view.scale].join(" "));
  }
  function zoom(by, x, y) {
    const { width, height } = size();
    const fit = Math.min(width / world.width, height / world.height);
    const scale = Math.min(Math.max(view.scale * by, Math.min(fit, 1)), 4);
    view.x += x / view.scale - x / scale;
    view.y += y / view.scale - y / scale;
    view.scale = scale;
    draw();
  }
  function centre(x, y) {
    const { width, height } = size();
    view.x = x - width / view.scale / 2;
    view.y = y - height / view.scale / 2;
    draw();
  }
  function fitAll() {
    const { width, height } = size();
    view.scale = Math.min(width / world.width, height / world.height, 1);
    centre(world.x + world.width / 2, world.y + world.height / 2);
  }
  function place(group) {
    const box = group.getBBox(), by = group.parentNode.transform.baseVal[0].matrix;
    return { x: by.e + box.x + box.width / 2, y: by.f + box.y + box.height / 2 };
  }
  function show(group) {
    view.scale = Math.max(view.scale, 0.8);
    const { x, y } = place(group);
    centre(x, y);
  }
  function begin() {
    // The data of a detector stand aside, between all that reads their size.
    const first = groups.get("1") || groups.get("0"), { width } = size();
    view.scale = Math.min(1, Math.max(width / world.width, 0.55));
    draw();
    const { x } = first ? place(first) : { x: world.x + world.width / 2 };
    const fits = world.width * view.scale <= width;
    view.x = (fits ? world.x + world.width / 2 : x) - width / view.scale / 2;
    view.y = world.y;
    draw();
  }

  for (const [at, group] of groups) {
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose(at);
      }
    });
    group.addEventListener("focus", () => {
      if (!group.matches(":focus-visible")) return;
      const box = group.getBoundingClientRect(), frame = picture.getBoundingClientRect();
      if (box.top < frame.top || box.bottom > frame.bottom
          || box.left < frame.left || box.right > frame.right) show(group);
    });
  }
  let held = null;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    held = { x: event.clientX, y: event.clientY, moved: false, id: event.pointerId };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    const dx = event.clientX - held.x, dy = event.clientY - held.y;
    if (!held.moved && Math.hypot(dx, dy) < 4) return;
    if (!held.moved) svg.setPointerCapture(held.id);
    held = { ...held, x: event.clientX, y: event.clientY, moved: true };
    svg.classList.add("moving");
    view.x -= dx / view.scale;
    view.y -= dy / view.scale;
    draw();
  });
  const release = (event) => {
    const moved = held?.moved;
    held = null;
    svg.classList.remove("moving");
    if (event.type === "pointerup" && !moved) {
      const group = event.target.closest("[data-layer]");
      choose(group ? group.dataset.layer : null);
    }
  };
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = picture.getBoundingClientRect();
    if (event.ctrlKey || !event.shiftKey) {
      zoom(Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
    }
  }, { passive: false });
  const buttons = { in: () => zoom(1.4, size().width / 2, size().height / 2),
    out: () => zoom(1 / 1.4, size().width / 2, size().height / 2), all: fitAll };
  all("[data-zoom]").forEach((button) =>
    button.addEventListener("click", () => buttons[button.dataset.zoom]()));
  // A frame of another size shows more or less, not larger or smaller.
  new ResizeObserver(draw).observe(picture);
  begin();
})();
