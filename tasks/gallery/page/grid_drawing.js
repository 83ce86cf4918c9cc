// Draws the visible cells of a grid of sprites on its canvas.

const CAPTION_PX = 18;

// A canvas of the size of the scroller, in the pixels of the screen.
const fitCanvas = (canvas, { clientWidth, clientHeight }) => {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * scale));
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
    canvas.style.width = `${clientWidth}px`;
    canvas.style.height = `${clientHeight}px`;
  }
  canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
};

const drawFlagged = (context, right, top, cell, inside, around) => {
  const radius = Math.max(3, Math.min(8, cell / 13));
  context.beginPath();
  context.arc(right - radius - 2, top + radius + 2, radius, 0, 2 * Math.PI);
  context.fillStyle = inside;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = around;
  context.stroke();
  if (radius < 6) return;
  context.fillStyle = "#1f2328"; // as on the badges of other pages
  context.fillText("!", right - radius - 2, top + radius + 2.5);
};

const captionOf = (sprite, cell) => {
  const text = sprite.label || sprite.unit;
  const fits = Math.floor(cell / 6.5);
  if (text.length <= fits) return text;
  // The labels of groups differ at their end: "block_10, group 3".
  return /, group \d+$/.test(text) ? `…${text.slice(1 - fits)}` : `${text.slice(0, fits - 1)}…`;
};

// `layout` is that of the grid, `xOf` and `yOf` give the place of a cell, and `quality` is that of moving or standing pictures.
const drawGrid = ({ scroller, canvas, pictures, layout, shown, xOf, yOf, quality }) => {
  fitCanvas(canvas, scroller);
  const context = canvas.getContext("2d");
  const { columns, cell, caption, rowPx } = layout;
  const { clientWidth: width, clientHeight: height, scrollTop: top } = scroller;
  const style = getComputedStyle(scroller);
  const [empty, flag, page, quiet] = ["--empty", "--flag", "--page", "--quiet"].map((name) => style.getPropertyValue(name).trim());
  context.clearRect(0, 0, width, height);
  context.font = `12px ${style.fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const first = Math.max(0, Math.floor((top - MARGIN_PX) / rowPx)) * columns;
  const end = Math.min(shown.length, Math.ceil((top + height) / rowPx) * columns);
  for (let place = first; place < end; place += 1) {
    const sprite = shown[place];
    const [x, y] = [xOf(place), yOf(place) - top];
    const picture = pictures.get(sprite.sheet.file);
    context.fillStyle = picture ? "#fff" : empty; // shards may have transparent parts
    context.fillRect(x, y, cell, cell);
    if (picture) drawCell(context, picture, sprite.sheet, sprite.cell, x, y, cell, quality);
    if (sprite.flags.length) drawFlagged(context, x + cell, y, cell, flag, page);
    if (!caption) continue;
    context.fillStyle = quiet;
    context.fillText(captionOf(sprite, cell), x + cell / 2, y + cell + CAPTION_PX / 2 + 3, cell); // below the ring of the focus
  }
};
