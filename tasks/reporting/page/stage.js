// The large image with what lies over it, and the selected position.

// `onPlace` is called when another position is selected; `onKeep` receives the position if it shall stay selected, or null.
const makeStage = (image, onPlace, onKeep, labelOf) => {
  const photograph = photo(image.file, { class: "seen", loading: "eager", alt: image.name });
  const overlay = make("canvas", { class: "overlay", "aria-hidden": "true" });
  const lines = make("div", { class: "overlay", "aria-hidden": "true" });
  const cursor = make("button", { type: "button", class: "cursor" });
  const said = make("span", { class: "unseen", role: "status" });
  const picture = make("div", { class: "stage-picture" }, photograph, overlay, lines);
  const node = make("div", { class: "stage" }, picture, cursor, said);
  let grid = { width: 1, height: 1 };
  let place = 0;
  let point = [0.5, 0.5]; // the position as a share of the image's sides
  let pinned = false;

  const mark = () => {
    const [column, row] = [place % grid.width, Math.floor(place / grid.width)];
    Object.assign(cursor.style, { left: `${(100 * column) / grid.width}%`, top: `${(100 * row) / grid.height}%`, width: `${100 / grid.width}%`, height: `${100 / grid.height}%` });
    cursor.setAttribute("aria-label", labelOf(place));
    cursor.setAttribute("aria-pressed", pinned);
    node.classList.toggle("pinned", pinned);
  };

  const choose = (next) => {
    if (next === place || !(next >= 0 && next < grid.width * grid.height)) return;
    place = next;
    point = [((place % grid.width) + 0.5) / grid.width, (Math.floor(place / grid.width) + 0.5) / grid.height];
    mark();
    onPlace();
  };

  const placeAt = (event) => {
    const box = node.getBoundingClientRect();
    const at = (share, positions) => Math.max(0, Math.min(positions - 1, Math.floor(share * positions)));
    return at((event.clientY - box.top) / box.height, grid.height) * grid.width + at((event.clientX - box.left) / box.width, grid.width);
  };

  const pin = (on) => {
    pinned = on;
    mark();
    onPlace();
    onKeep(pinned ? place : null);
  };

  node.addEventListener("pointermove", (event) => !pinned && choose(placeAt(event)));
  node.addEventListener("click", (event) => {
    if (event.detail === 0) return pin(!pinned); // by the keyboard
    const next = placeAt(event);
    const same = pinned && next === place;
    choose(next);
    return pin(!same);
  });
  node.addEventListener("keydown", (event) => {
    const [column, row] = [place % grid.width, Math.floor(place / grid.width)];
    const goals = { ArrowRight: [column + 1, row], ArrowLeft: [column - 1, row], ArrowDown: [column, row + 1], ArrowUp: [column, row - 1] };
    if (!(event.key in goals)) return;
    event.preventDefault();
    const [x, y] = goals[event.key];
    if (x < 0 || y < 0 || x >= grid.width || y >= grid.height) return;
    choose(y * grid.width + x);
    onKeep(place);
    said.textContent = labelOf(place); // for screen readers
  });

  return {
    node,
    picture,
    place: () => place,
    isPinned: () => pinned,
    pin,
    // The selected point of the image stays the same when the layer has another grid.
    setGrid: (next) => {
      grid = next;
      place = Math.floor(point[1] * grid.height) * grid.width + Math.floor(point[0] * grid.width);
      mark();
    },
    choose,
    relabel: mark,
    sidePx: () => Math.round((node.clientWidth || 448) * (window.devicePixelRatio || 1)),
    // `draw` paints the overlay, `drawing` lies over it, `shade` is the class of the photograph.
    paint: (draw, drawing, shade, opacity) => {
      overlay.width = overlay.height = Math.round((node.clientWidth || 448) * (window.devicePixelRatio || 1));
      picture.className = `stage-picture ${shade}`;
      overlay.style.opacity = opacity;
      lines.style.opacity = opacity;
      if (draw) draw(overlay);
      lines.replaceChildren(...(drawing ? [drawing] : []));
    },
  };
};
