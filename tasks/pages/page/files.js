// What the page loads: numbers from scripts, pictures from image files, each once.

const taken = new Map();
const loadingOf = new Map();

// A file of numbers calls this. It is a script because pages from file:// may not read any other kind of file.
// Two files may hand over things of one name.
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

// Decoded once: a large image that is drawn from again and again would be decoded again and again.
const loadSheet = async (sheet) => {
  const image = new Image();
  image.src = urlOf(sheet.file);
  await image.decode();
  return createImageBitmap(image);
};

const drawCell = (context, picture, sheet, cell, x, y, side, quality = "high") => {
  const left = (cell % sheet.columns) * sheet.cell_px;
  const top = Math.floor(cell / sheet.columns) * sheet.cell_px;
  context.imageSmoothingQuality = quality;
  context.drawImage(picture, left, top, sheet.cell_px, sheet.cell_px, x, y, side, side);
};
