// The sprites of a layer as a grid: one canvas of the size of the visible part, and one link over the active cell.
// The number of elements on the page does not depend on the number of sprites.

const LEAST_CELL_PX = 20;
const MOST_CELL_PX = 512;
const MARGIN_PX = 12;
const ZOOM_STEP = 1.25;
const SETTLED_MS = 120;

// The cell size is kept from layer to layer.
const usualCellPx = window.innerWidth < 600 ? 76 : 112;
let cellPx = usualCellPx;

// Calls `onActive(sprite)` when another cell becomes active, and `onView()` after scrolling and zooming.
const makeGrid = (layer, onActive, onView) => {
  const canvas = make("canvas", { class: "cells", "aria-hidden": "true" });
  const sheet = make("div", { class: "sheet" }, canvas);
  const scroller = make("div", { class: "grid", role: "group", tabindex: -1, "aria-busy": "true", "aria-label": `sprites of ${layer.name}; use the arrow keys to move` }, sheet);
  const tip = makeTip();
  const pictures = new Map();
  let shown = [];
  let active = 0;
  let cursor = null;
  let layout = { columns: 1, cell: cellPx, gap: 6, caption: 0, rowPx: cellPx };
  let frame = 0;
  let settling = 0;
  let failed = false;
  let quiet = false;

  const measure = () => {
    const width = Math.max(scroller.clientWidth - 2 * MARGIN_PX, LEAST_CELL_PX);
    const wanted = Math.min(cellPx, width);
    const gap = wanted >= 48 ? 6 : 2;
    const columns = Math.max(1, Math.floor((width + gap) / (wanted + gap)));
    // Cells are stretched to fill the row, unless all sprites fit in less than one row.
    const cell = shown.length < columns ? wanted : (width - gap * (columns - 1)) / columns;
    const caption = cell >= 56 ? CAPTION_PX : 0;
    layout = { columns, cell, gap, caption, rowPx: cell + caption + gap };
    const rows = Math.ceil(shown.length / columns);
    sheet.style.height = `${Math.max(rows * layout.rowPx + 2 * MARGIN_PX - gap, scroller.clientHeight)}px`;
  };

  const xOf = (place) => MARGIN_PX + (place % layout.columns) * (layout.cell + layout.gap);
  const yOf = (place) => MARGIN_PX + Math.floor(place / layout.columns) * layout.rowPx;

  const draw = () => {
    frame = 0;
    drawGrid({ scroller, canvas, pictures, layout, shown, xOf, yOf, quality: settling ? "low" : "high" });
  };

  const redraw = () => {
    frame = frame || requestAnimationFrame(draw);
  };

  // During movement, cells are drawn in low quality, so that scrolling is smooth even without a graphics card.
  const move = () => {
    clearTimeout(settling);
    settling = setTimeout(() => {
      settling = 0;
      redraw();
      onView();
    }, SETTLED_MS);
    redraw();
  };

  const placeAt = (clientX, clientY) => {
    const box = scroller.getBoundingClientRect();
    const across = clientX - box.left - MARGIN_PX;
    const down = clientY - box.top - MARGIN_PX + scroller.scrollTop;
    const column = Math.floor(across / (layout.cell + layout.gap));
    const place = Math.floor(down / layout.rowPx) * layout.columns + column;
    const inside = across >= 0 && down >= 0 && column < layout.columns && across % (layout.cell + layout.gap) <= layout.cell;
    return inside && place < shown.length ? place : -1;
  };

  const reveal = (place) => {
    const top = yOf(place) - MARGIN_PX;
    const bottom = top + layout.rowPx + MARGIN_PX;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
  };

  const moveOver = (link) => Object.assign(link.style, { left: `${xOf(active)}px`, top: `${yOf(active)}px`, width: `${layout.cell}px`, height: `${layout.cell}px` });

  // A new link for each cell, because screen readers announce new links, but not moved ones.
  const activate = (place, { focus = false, tell = true, scroll = false } = {}) => {
    if (!shown.length) return;
    active = Math.max(0, Math.min(shown.length - 1, place));
    const sprite = shown[active];
    const focused = cursor !== null && document.activeElement === cursor;
    const next = make("a", { class: "cursor", href: unitPath(layer, sprite), "aria-label": spoken(sprite) });
    moveOver(next);
    if (cursor) cursor.replaceWith(next);
    else sheet.append(next);
    cursor = next;
    if (scroll) reveal(active);
    if (focus || focused) focusCursor();
    if (tell) tip.show(tipLines(sprite), cursor.getBoundingClientRect());
    onActive(sprite);
  };

  // Focus without a tip: tips are for the keyboard and the pointer only.
  const focusCursor = () => {
    quiet = true;
    if (cursor) cursor.focus({ preventScroll: true });
    quiet = false;
  };

  const isInView = (place) => yOf(place) + layout.cell > scroller.scrollTop && yOf(place) < scroller.scrollTop + scroller.clientHeight;

  // Changes the layout; the row of the active sprite, or else the row at `height`, keeps its place on the screen.
  const keepingRow = (height, change) => {
    const row = Math.max(0, Math.floor((scroller.scrollTop + height) / layout.rowPx));
    const kept = shown[isInView(active) ? active : Math.min(row * layout.columns, shown.length - 1)];
    const before = kept ? yOf(shown.indexOf(kept)) - scroller.scrollTop : 0;
    change();
    measure();
    const place = kept ? shown.findIndex((sprite) => sprite.unit === kept.unit) : -1;
    if (place >= 0) scroller.scrollTop = yOf(place) - before;
  };

  const zoomTo = (px) => {
    keepingRow(scroller.clientHeight / 2, () => (cellPx = Math.max(LEAST_CELL_PX, Math.min(MOST_CELL_PX, px))));
    tip.hide();
    activate(active, { tell: false });
    move();
  };

  const zoom = (direction) => {
    const { columns, gap, cell } = layout;
    if (shown.length < columns) return zoomTo(cell * ZOOM_STEP ** direction);
    const fewer = Math.max(1, Math.min(columns - 1, Math.floor(columns / ZOOM_STEP)));
    const more = Math.max(columns + 1, Math.ceil(columns * ZOOM_STEP));
    const wanted = direction > 0 ? fewer : more;
    return zoomTo((scroller.clientWidth - 2 * MARGIN_PX - gap * (wanted - 1)) / wanted);
  };

  gridInput({
    scroller,
    layout: () => layout,
    shown: () => shown,
    active: () => active,
    cursor: () => cursor,
    isQuiet: () => quiet,
    placeAt,
    activate,
    zoomTo,
    move,
    tip,
    follow: (place) => (window.location.hash = unitPath(layer, shown[place])),
  });

  const resized = new ResizeObserver(() => {
    measure();
    if (cursor) activate(active, { tell: false });
    redraw();
  });
  resized.observe(scroller);
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", redraw);

  // The active sprite, its link and what is in view stay where they are. Its pictures are opened first.
  const renew = (sprites) => {
    const was = shown[active];
    keepingRow(0, () => (shown = sprites));
    const place = was ? shown.findIndex((sprite) => sprite.unit === was.unit) : -1;
    if (place < 0) activate(0, { tell: false });
    else {
      if (place !== active) tip.hide();
      active = place;
      moveOver(cursor);
    }
    const files = new Set(openSheets(layer).keys());
    for (const file of pictures.keys()) if (!files.has(file)) pictures.delete(file);
    redraw();
  };

  for (const [file, loading] of openSheets(layer)) {
    loading.then(
      (picture) => {
        pictures.set(file, picture);
        if (pictures.size === layer.spritemaps.length) scroller.setAttribute("aria-busy", "false");
        redraw();
      },
      () => {
        if (!failed) scroller.before(make("p", { class: "failure", role: "alert" }, "The layer's spritemap could not be loaded."));
        failed = true;
        scroller.setAttribute("aria-busy", "false");
      },
    );
  }

  return {
    scroller,
    tip: tip.node,
    zoom,
    activate,
    zoomTo,
    open: () => cursor && cursor.click(),
    focus: focusCursor,
    renew,
    openSheets: () => Promise.allSettled(openMoreSheets(layer).map(async ([file, loading]) => pictures.set(file, await loading))),
    // Shows these sprites in this order. `wanted` becomes active if it is among them, and `first` is scrolled to the top.
    show: (sprites, wanted, first = null) => {
      shown = sprites;
      measure();
      tip.hide();
      if (cursor) cursor.remove();
      cursor = null;
      const top = shown.indexOf(first);
      scroller.scrollTop = top > 0 ? yOf(top) - MARGIN_PX : 0;
      const place = shown.indexOf(wanted);
      activate(Math.max(0, place), { tell: false, scroll: top < 0 || place >= 0 });
      redraw();
    },
    // What the address keeps: the size of the cells, and the first sprite in view; null for the usual.
    view: () => {
      const first = Math.max(0, Math.round((scroller.scrollTop - MARGIN_PX) / layout.rowPx)) * layout.columns;
      return { zoom: cellPx === usualCellPx ? null : Math.floor(cellPx), from: first > 0 && shown[first] ? shown[first].unit : null };
    },
    // A copy of what is in view, on the colour of the page.
    snapshot: () => {
      const copy = make("canvas", { width: canvas.width, height: canvas.height });
      const onCopy = copy.getContext("2d");
      onCopy.fillStyle = getComputedStyle(document.body).backgroundColor;
      onCopy.fillRect(0, 0, copy.width, copy.height);
      onCopy.drawImage(canvas, 0, 0);
      return copy;
    },
    shown: () => shown,
    find: (test) => shown.findIndex(test),
    close: () => {
      resized.disconnect();
      scheme.removeEventListener("change", redraw);
      cancelAnimationFrame(frame);
      clearTimeout(settling);
      tip.node.remove();
    },
  };
};
