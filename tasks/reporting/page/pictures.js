// Cells of sheets as small canvases, each drawn once it is about to be seen, and images.

const KEPT_SHEETS = 24;
const AHEAD = "300px";
const sheetOf = new Map(); // the file's name -> its picture once it is there, and the promise of it
const drawOf = new WeakMap();

const openSheet = (sheet) => {
  const known = sheetOf.get(sheet.file) || { picture: null, loading: null };
  sheetOf.delete(sheet.file);
  sheetOf.set(sheet.file, known); // the last used is the last to go
  if (!known.loading) {
    known.loading = loadSheet(sheet).then((picture) => (known.picture = picture));
    known.loading.catch(() => sheetOf.delete(sheet.file));
  }
  if (sheetOf.size > KEPT_SHEETS) sheetOf.delete(sheetOf.keys().next().value);
  return known;
};

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      drawOf.get(target)();
    }
  },
  { rootMargin: AHEAD },
);

// Draws when it comes into view; `work` gets the canvas in the pixels of the screen.
const whenSeen = (canvas, work) => {
  drawOf.set(canvas, async () => {
    canvas.setAttribute("aria-busy", "true");
    try {
      await work(canvas);
      canvas.classList.add("drawn");
    } catch {
      canvas.classList.add("gone");
    }
    canvas.removeAttribute("aria-busy");
  });
  observer.observe(canvas);
  return canvas;
};

const sized = (canvas) => {
  const side = Math.round((canvas.clientWidth || 96) * (window.devicePixelRatio || 1));
  canvas.width = canvas.height = side;
  return canvas.getContext("2d");
};

const cellPicture = (sheet, cell, attributes = {}) => {
  const canvas = make("canvas", { class: "cell", width: 1, height: 1, "aria-hidden": "true", ...attributes });
  if (!sheet || cell === null || cell === undefined) return canvas;
  return whenSeen(canvas, async () => {
    const picture = await openSheet(sheet).loading;
    const context = sized(canvas);
    drawCell(context, picture, sheet, cell, 0, 0, canvas.width);
  });
};

// For what changes under the pointer: it is drawn at once, without a frame in which it is empty, if its sheet is here.
const cellPictureNow = (sheet, cell, sidePx) => {
  const picture = sheet && cell !== null ? openSheet(sheet).picture : null;
  if (!picture) return cellPicture(sheet, cell);
  const canvas = make("canvas", { class: "cell drawn", "aria-hidden": "true" });
  canvas.width = canvas.height = Math.round(sidePx * (window.devicePixelRatio || 1));
  drawCell(canvas.getContext("2d"), picture, sheet, cell, 0, 0, canvas.width);
  return canvas;
};

// One tip for all small pictures; it goes with what it is about, and when another page is shown.
const pictureTip = makeTip();
document.body.append(pictureTip.node);
window.addEventListener("hashchange", pictureTip.hide);

const withTip = (node, linesOf) => {
  const show = () => pictureTip.show(linesOf(), node.getBoundingClientRect());
  node.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && show());
  node.addEventListener("pointerleave", pictureTip.hide);
  node.addEventListener("focus", () => node.matches(":focus-visible") && show());
  node.addEventListener("blur", pictureTip.hide);
  return node;
};

// A channel's sprite, or where the bucket has none, what excites it most in the images; `draw` is one of the two above.
const channelPicture = (layer, numbers, known, draw, ...how) =>
  known.sprite !== null || !known.patches.cells.length ? draw(layer.sprites, known.sprite, ...how) : draw(numbers.patches, known.patches.cells[0], ...how);

const photo = (file, attributes = {}) => make("img", { src: urlOf(file), alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.classList.add("gone"), ...attributes });

// A channel's sprite, which leads to its page in the gallery if there is a sprite at all.
const spriteLink = (layer, known, picture, words = "") => {
  const title = `channel ${known.channel}${known.label ? ` · ${isolated(known.label)}` : ""}`;
  if (known.sprite === null) return make("span", { class: "sprite", title: known.patches.cells.length ? `${title}: there is no sprite of it; this is what excites it most` : `${title}: no sprite` }, picture);
  return make("a", { class: "sprite", href: galleryPath(layer, known.channel), "aria-label": `sprite of ${title}${words}`, title }, picture);
};
