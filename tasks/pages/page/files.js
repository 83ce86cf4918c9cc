// Loads data from scripts, and pictures from image files, each once.

const taken = new Map();
const loadingOf = new Map();

// A data file calls this function. Data files are scripts, because pages from file:// cannot read other files.
// The key includes the file, because two files can use the same name.
window.diamondCutter = { take: (name, data) => taken.set(`${document.currentScript.getAttribute("src")} ${name}`, data) };

const loadNumbers = (name, file, failure) => {
  const key = `${urlOf(file)} ${name}`;
  if (!loadingOf.has(key)) {
    const loading = new Promise((resolve, reject) => {
      const failed = () => reject(new Error(failure));
      const arrived = () => (taken.has(key) ? resolve(taken.get(key)) : failed());
      document.head.append(make("script", { src: urlOf(file), onload: arrived, onerror: failed }));
    });
    loadingOf.set(key, loading);
    loading.catch(() => loadingOf.delete(key));
  }
  return loadingOf.get(key);
};

// Decoded once, because browsers would decode a large image again for each drawing.
const loadSheet = async (sheet) => {
  const image = new Image();
  image.src = urlOf(sheet.file);
  await image.decode();
  return createImageBitmap(image);
};

// Large sheets have several files. Returns the one that holds a cell, as a sheet, and the cell in it.
const sheetPart = (sheet, cell) => {
  if (!sheet.more || !sheet.more.length) return [sheet, cell];
  const file = [sheet.file, ...sheet.more][Math.floor(cell / sheet.cells)];
  return [{ file, columns: sheet.columns, cell_px: sheet.cell_px }, cell % sheet.cells];
};

const drawCell = (context, picture, sheet, cell, x, y, side, quality = "high") => {
  const left = (cell % sheet.columns) * sheet.cell_px;
  const top = Math.floor(cell / sheet.columns) * sheet.cell_px;
  context.imageSmoothingQuality = quality;
  context.drawImage(picture, left, top, sheet.cell_px, sheet.cell_px, x, y, side, side);
};
