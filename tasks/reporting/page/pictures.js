// Images, and cells of sheets as small canvases.

const KEPT_SHEETS = 96;
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
  const [part, inner] = sheetPart(sheet, cell);
  return whenSeen(canvas, async () => {
    const picture = await openSheet(part).loading;
    const context = sized(canvas);
    drawCell(context, picture, part, inner, 0, 0, canvas.width);
  });
};

// Draws at once if the sheet is loaded, so that pictures under the pointer do not flicker.
const cellPictureNow = (sheet, cell, sidePx) => {
  const [part, inner] = sheet && cell !== null ? sheetPart(sheet, cell) : [];
  const picture = part && sheetOf.has(part.file) ? openSheet(part).picture : null;
  if (!picture) return cellPicture(sheet, cell);
  const canvas = make("canvas", { class: "cell drawn", "aria-hidden": "true" });
  canvas.width = canvas.height = Math.round(sidePx * (window.devicePixelRatio || 1));
  drawCell(canvas.getContext("2d"), picture, part, inner, 0, 0, canvas.width);
  return canvas;
};

// Loads the files that hold some cells of a sheet. Resolves to a function that draws such a cell.
const cellPainter = async (sheet, cells) => {
  const pictures = new Map();
  const load = async ([part]) => pictures.set(part.file, await openSheet(part).loading);
  await Promise.all([...new Set(cells)].map((cell) => load(sheetPart(sheet, cell))));
  return (context, cell, x, y, side) => {
    const [part, inner] = sheetPart(sheet, cell);
    drawCell(context, pictures.get(part.file), part, inner, x, y, side);
  };
};

const photo = (file, attributes = {}) => make("img", { src: urlOf(file), alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.classList.add("gone"), ...attributes });
