// A figure of the page as a picture (a canvas) and as an SVG drawing.

const FIGURE_SCALE = 2; // pixels of the saved picture for each pixel of the page
const MOST_SIDE_PX = 16000; // browsers refuse larger canvases

const sizedFigure = ({ width, height }) => Math.min(FIGURE_SCALE, MOST_SIDE_PX / Math.max(width, height));

const paintMark = (context, mark) => {
  const painters = { box: paintBox, picture: paintPicture, shape: paintShape, text: paintText };
  context.save();
  if (mark.clip) {
    context.beginPath();
    context.rect(mark.clip.x, mark.clip.y, mark.clip.width, mark.clip.height);
    context.clip();
  }
  context.globalAlpha = mark.opacity;
  painters[mark.kind](context, mark);
  context.restore();
};

const paintBox = (context, { x, y, width, height, radius, fill, stroke, strokeWidth, dash = [] }) => {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
  if (fill) {
    context.fillStyle = fill.stops ? horizontalGradient(context, x, width, fill.stops) : fill;
    context.fill();
  }
  if (!stroke) return;
  context.setLineDash(dash);
  context.strokeStyle = stroke;
  context.lineWidth = strokeWidth;
  context.stroke();
};

const horizontalGradient = (context, x, width, stops) => {
  const gradient = context.createLinearGradient(x, 0, x + width, 0);
  stops.forEach((colour, at) => gradient.addColorStop(at / (stops.length - 1), colour));
  return gradient;
};

const paintPicture = (context, { node, part, x, y, width, height, radius, filter }) => {
  if (!part.width || !part.height) return;
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
  context.clip();
  context.filter = filter;
  context.imageSmoothingQuality = "high";
  context.drawImage(node, part.left, part.top, part.width, part.height, x, y, width, height);
};

const paintShape = (context, { path, matrix, fill, stroke, strokeWidth, dash, keepsWidth, opacity }) => {
  const placed = new Path2D();
  placed.addPath(new Path2D(path), matrix);
  if (fill) {
    context.globalAlpha = opacity * fill.opacity;
    context.fillStyle = fill.colour;
    context.fill(placed);
  }
  if (!stroke) return;
  const scale = keepsWidth ? 1 : Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c));
  context.globalAlpha = opacity * stroke.opacity;
  context.strokeStyle = stroke.colour;
  context.lineWidth = strokeWidth * scale;
  context.setLineDash(dash.map((length) => length * scale));
  context.stroke(placed);
};

const paintText = (context, { text, x, y, font, fill, matrix }) => {
  if (matrix) context.transform(matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f);
  context.font = font;
  context.fillStyle = fill;
  context.fillText(text, x, y);
};

// Paints what a figure shows. From file://, the browser lets people save this picture, but not the page.
const figureCanvas = (figure) => {
  const found = figureMarks(figure);
  const scale = sizedFigure(found);
  const canvas = make("canvas", { width: Math.ceil(found.width * scale), height: Math.ceil(found.height * scale) });
  const context = canvas.getContext("2d");
  context.fillStyle = found.ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(scale, 0, 0, scale, -found.x * scale, -found.y * scale);
  found.marks.forEach((mark) => paintMark(context, mark));
  return canvas;
};

// A picture of a figure as a data URL, no larger than it is saved.
const pictureData = ({ node, part, width, height }) => {
  const scale = Math.min(1, (FIGURE_SCALE * width) / part.width, (FIGURE_SCALE * height) / part.height);
  const canvas = make("canvas", { width: Math.max(1, Math.round(part.width * scale)), height: Math.max(1, Math.round(part.height * scale)) });
  canvas.getContext("2d").drawImage(node, part.left, part.top, part.width, part.height, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
};

const transformOf = ({ a, b, c, d, e, f }) => `matrix(${[a, b, c, d, e, f].map((part) => +part.toFixed(4)).join(" ")})`;

const DRAWN = {
  box: ({ x, y, width, height, radius, fill, stroke, strokeWidth, dash = [] }, id, defs) => {
    if (fill && fill.stops) defs.append(makeDrawn("linearGradient", { id }, ...fill.stops.map((colour, at) => makeDrawn("stop", { offset: at / (fill.stops.length - 1), "stop-color": colour }))));
    return makeDrawn("rect", { x, y, width, height, rx: radius, fill: fill ? (fill.stops ? `url(#${id})` : fill) : "none", stroke: stroke || "none", "stroke-width": strokeWidth, "stroke-dasharray": dash.join(" ") || null });
  },
  picture: (mark, id, defs, pictures) => {
    const { part, x, y, width, height, filter } = mark;
    if (!part.width || !part.height) return makeDrawn("g");
    const image = makeDrawn("image", { x, y, width, height, preserveAspectRatio: "none" });
    pictures.set(image, pictureData(mark));
    if (filter !== "none") image.setAttribute("filter", filter);
    return image;
  },
  shape: ({ path, matrix, fill, stroke, strokeWidth, dash, keepsWidth }) =>
    makeDrawn("path", {
      d: path,
      transform: transformOf(matrix),
      fill: fill ? fill.colour : "none",
      "fill-opacity": fill ? fill.opacity : null,
      stroke: stroke ? stroke.colour : "none",
      "stroke-opacity": stroke ? stroke.opacity : null,
      "stroke-width": strokeWidth,
      "stroke-dasharray": dash.join(" ") || null,
      "vector-effect": keepsWidth ? "non-scaling-stroke" : null,
    }),
  text: ({ text, x, y, font, fill, matrix }) => {
    const [, style, weight, size, family] = /^(\S+) (\S+) (\S+) (.*)$/.exec(font);
    return makeDrawn("text", { x, y, fill, "font-style": style, "font-weight": weight, "font-size": size, "font-family": family, transform: matrix ? transformOf(matrix) : null }, text);
  },
};

// The figure as the text of an SVG file, with its pictures inside.
const figureSvg = (figure) => {
  const { marks, x, y, width, height, ground } = figureMarks(figure);
  const defs = makeDrawn("defs");
  const pictures = new Map();
  const nodes = marks.map((mark, number) => {
    const node = DRAWN[mark.kind](mark, `m${number}`, defs, pictures);
    if (mark.opacity !== 1) node.setAttribute("opacity", mark.opacity);
    if (!mark.clip) return node;
    defs.append(makeDrawn("clipPath", { id: `c${number}` }, makeDrawn("rect", mark.clip)));
    return makeDrawn("g", { "clip-path": `url(#c${number})` }, node);
  });
  const root = makeDrawn("svg", { width, height, viewBox: `${x} ${y} ${width} ${height}` }, defs, makeDrawn("rect", { x, y, width, height, fill: ground }), ...nodes);
  // In a document without a window, nothing is loaded: the page's policy forbids data URLs.
  document.implementation.createHTMLDocument().body.append(root);
  pictures.forEach((data, image) => image.setAttribute("href", data));
  return new XMLSerializer().serializeToString(root);
};
