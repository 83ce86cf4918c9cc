// Images, and cells of sheets as small canvases.

const KEPT_SHEETS = 24;
const sheetOf = new Map(); // file name -> the loaded picture and its promise

const openSheet = (sheet) => {
  const known = sheetOf.get(sheet.file) || { picture: null, loading: null };
  sheetOf.delete(sheet.file);
  sheetOf.set(sheet.file, known); // the least recently used sheet is dropped first
  if (!known.loading) {
    known.loading = loadSheet(sheet).then((picture) => (known.picture = picture));
    known.loading.catch(() => sheetOf.delete(sheet.file));
  }
  if (sheetOf.size > KEPT_SHEETS) sheetOf.delete(sheetOf.keys().next().value);
  return known;
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

// Draws at once if the sheet is loaded, so that pictures under the pointer never flicker.
const cellPictureNow = (sheet, cell, sidePx) => {
  const picture = sheet && cell !== null ? openSheet(sheet).picture : null;
  if (!picture) return cellPicture(sheet, cell);
  const canvas = make("canvas", { class: "cell drawn", "aria-hidden": "true" });
  canvas.width = canvas.height = Math.round(sidePx * (window.devicePixelRatio || 1));
  drawCell(canvas.getContext("2d"), picture, sheet, cell, 0, 0, canvas.width);
  return canvas;
};

const photo = (file, attributes = {}) => make("img", { src: urlOf(file), alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.classList.add("gone"), ...attributes });
