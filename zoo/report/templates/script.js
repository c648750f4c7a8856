"use strict";

// Sorting: a click on a column's head; numbers by their value, a dash last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const body = table.tBodies[0];
    const value = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? cell.dataset.value : cell.textContent;
    };
    const isNumber = body.rows.length > 0 && "value" in body.rows[0].cells[column].dataset;
    const before = head.getAttribute("aria-sort");
    const falls = before ? before === "ascending" : isNumber;
    const compare = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNumber ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
      return falls ? -order : order;
    };
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    body.append(...[...body.rows].sort(compare));
  }));
}

// Hovering over a curve: the values nearest to the pointer.
for (const drawing of document.querySelectorAll(".drawing")) {
  const svg = drawing.querySelector("svg");
  const points = [...svg.querySelectorAll(".points circle")].map((circle) => {
    const title = circle.querySelector("title");
    const point = { circle, x: circle.cx.baseVal.value, y: circle.cy.baseVal.value,
      group: circle.dataset.group, text: title.textContent };
    title.remove();  // else the browser says it a second time
    return point;
  });
  if (!points.length) continue;
  const told = document.createElement("div");
  told.className = "told";
  told.hidden = true;
  drawing.append(told);
  const isCurve = drawing.parentElement.querySelector(".legend") !== null;
  const leave = () => {
    told.hidden = true;
    points.forEach((point) => point.circle.classList.remove("near"));
  };
  svg.addEventListener("pointermove", (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const far = (point) => Math.abs(point.x - place.x) + (isCurve ? 0 : Math.abs(point.y - place.y));
    const nearest = points.reduce((best, point) => (far(point) < far(best) ? point : best));
    const group = points.filter((point) => point.group === nearest.group);
    leave();
    group.forEach((point) => point.circle.classList.add("near"));
    const lines = isCurve ? [`epoch ${nearest.group}`, ...group.map((point) => point.text)] : [nearest.text];
    told.replaceChildren(...lines.map((line) => {
      const div = document.createElement("div");
      div.textContent = line;
      div.classList.toggle("long", !isCurve);
      return div;
    }));
    told.hidden = false;
    const isLeft = nearest.x > svg.viewBox.baseVal.width / 2;
    told.style.left = isLeft ? "" : "auto";
    told.style.right = isLeft ? "" : "4px";
    told.style.left = isLeft ? "44px" : "auto";
  });
  svg.addEventListener("pointerleave", leave);
}

// Boxes that scroll: an edge on the side where there is more.
for (const scroller of document.querySelectorAll(".scroller")) {
  const box = scroller.firstElementChild;
  const update = () => {
    scroller.classList.toggle("more-left", box.scrollLeft > 1);
    scroller.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  };
  box.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(box);
  update();
}

// Paper shows what is folded too, also from browsers that can't say so in the style.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")];
  unfolded.forEach((one) => { one.open = true; });
});
addEventListener("afterprint", () => unfolded.forEach((one) => { one.open = false; }));
