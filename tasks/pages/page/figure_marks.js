// Lists what a figure shows as marks, in pixels of the page: boxes, pictures, shapes, and lines of text.

const UNDRAWN = "script, style, title, defs, .share, .unseen, .tools, input, select, [hidden], [role=tooltip]";
const measuring = document.createElement("canvas").getContext("2d");

const isClear = (colour) => !colour || colour === "none" || colour === "transparent" || /^rgba\(.*, 0\)$|\/ 0\)$/.test(colour);

// The colours of a gradient to the right, such as that of a legend.
const gradientStops = (image) => (/^linear-gradient\((to right|90deg),/.test(image) ? image.match(/(rgba?|color|oklab|oklch)\([^()]*\)/g) : null);

const boxOf = (rect) => ({ x: rect.left, y: rect.top, width: rect.width, height: rect.height });

// Two rings, light and dark, mark positions on images; they are shadows without blur.
const ringsOf = (style, box, look) => {
  const rings = [...style.boxShadow.matchAll(/(rgba?\([^()]*\)) 0px 0px 0px ([\d.]+)px(?! inset)/g)];
  let inner = 0;
  return rings.map(([, colour, spread]) => {
    const [middle, width] = [(inner + Number(spread)) / 2, Number(spread) - inner];
    inner = Number(spread);
    return { kind: "box", ...look, x: box.x - middle, y: box.y - middle, width: box.width + 2 * middle, height: box.height + 2 * middle, stroke: colour, strokeWidth: width };
  });
};

const bordersOf = (style, box, look) => {
  const sides = ["Top", "Right", "Bottom", "Left"].map((side) => ({ side, width: style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`]), colour: style[`border${side}Color`] }));
  const [first, ...others] = sides;
  if (first.width && others.every(({ width, colour }) => width === first.width && colour === first.colour)) {
    const half = first.width / 2;
    const dash = style.borderTopStyle === "dashed" ? [3 * first.width, 3 * first.width] : [];
    return [{ kind: "box", ...look, x: box.x + half, y: box.y + half, width: box.width - 2 * half, height: box.height - 2 * half, stroke: first.colour, strokeWidth: first.width, dash }];
  }
  const line = { Top: (width) => ({ height: width }), Bottom: (width) => ({ y: box.y + box.height - width, height: width }), Left: (width) => ({ width }), Right: (width) => ({ x: box.x + box.width - width, width }) };
  return sides.filter(({ width, colour }) => width && !isClear(colour)).map(({ side, width, colour }) => ({ kind: "box", ...look, ...box, ...line[side](width), radius: 0, fill: colour }));
};

const boxMarks = (style, box, look) => {
  const stops = gradientStops(style.backgroundImage);
  const fill = stops ? { stops } : style.backgroundColor;
  const ground = stops || !isClear(fill) ? [{ kind: "box", ...look, ...box, fill }] : [];
  return [...(style.boxShadow === "none" ? [] : ringsOf(style, box, look)), ...ground, ...bordersOf(style, box, look)];
};

// The part of an image that its frame shows.
const partOf = (node, style, box) => {
  const [width, height] = node.tagName === "CANVAS" ? [node.width, node.height] : [node.naturalWidth, node.naturalHeight];
  if (style.objectFit !== "cover" || !width) return { left: 0, top: 0, width, height };
  const scale = Math.min(width / box.width, height / box.height);
  return { left: (width - scale * box.width) / 2, top: (height - scale * box.height) / 2, width: scale * box.width, height: scale * box.height };
};

const fontOf = (style) => `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;

// Each line of a text as the browser has broken it.
const textMarks = (node, style, look) => {
  const lines = [];
  const range = document.createRange();
  for (const { 0: word, index } of node.data.matchAll(/\S+/g)) {
    range.setStart(node, index);
    range.setEnd(node, index + word.length);
    const [rect] = range.getClientRects();
    if (!rect) continue;
    const line = lines[lines.length - 1];
    if (line && Math.abs(line.top - rect.top) < 2) line.text += ` ${word}`;
    else lines.push({ text: word, left: rect.left, top: rect.top });
  }
  measuring.font = fontOf(style);
  const { fontBoundingBoxAscent: ascent } = measuring.measureText("x");
  return lines.map(({ text, left, top }) => ({ kind: "text", ...look, text, x: left, y: top + ascent, font: fontOf(style), fill: style.color, matrix: null }));
};

const PATHS = {
  path: (node) => node.getAttribute("d") || "",
  rect: ({ x, y, width, height }) => `M${x.baseVal.value} ${y.baseVal.value}h${width.baseVal.value}v${height.baseVal.value}h${-width.baseVal.value}z`,
  line: ({ x1, y1, x2, y2 }) => `M${x1.baseVal.value} ${y1.baseVal.value}L${x2.baseVal.value} ${y2.baseVal.value}`,
  circle: ({ cx, cy, r }) => `M${cx.baseVal.value - r.baseVal.value} ${cy.baseVal.value}a${r.baseVal.value} ${r.baseVal.value} 0 1 0 ${2 * r.baseVal.value} 0a${r.baseVal.value} ${r.baseVal.value} 0 1 0 ${-2 * r.baseVal.value} 0z`,
  polyline: (node) => `M${node.getAttribute("points")}`,
  polygon: (node) => `M${node.getAttribute("points")}z`,
};

// A colour of a drawing; of a pattern, its plain substitute.
const paintOf = (paint, opacity) => {
  const colour = paint.replace(/^url\([^)]*\)\s*/, "");
  return isClear(colour) ? null : { colour, opacity: Number(opacity) };
};

const shapeMark = (node, style, look) => ({
  kind: "shape",
  ...look,
  path: PATHS[node.tagName](node),
  matrix: node.getScreenCTM(),
  fill: node.tagName === "line" ? null : paintOf(style.fill, style.fillOpacity),
  stroke: paintOf(style.stroke, style.strokeOpacity),
  strokeWidth: parseFloat(style.strokeWidth),
  dash: style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[, ]+/).map(parseFloat),
  keepsWidth: style.vectorEffect === "non-scaling-stroke",
});

const drawnTextMark = (node, style, look) => {
  if (!node.textContent.trim()) return [];
  const start = node.getStartPositionOfChar(0);
  return [{ kind: "text", ...look, text: node.textContent, x: start.x, y: start.y, font: fontOf(style), fill: style.fill, matrix: node.getScreenCTM() }];
};

const elementMarks = (node, look) => {
  const style = getComputedStyle(node);
  if (style.display === "none" || style.visibility === "hidden" || node.matches(UNDRAWN)) return [];
  const box = boxOf(node.getBoundingClientRect());
  const radius = Math.min(parseFloat(style.borderTopLeftRadius) * (style.borderTopLeftRadius.endsWith("%") ? box.width / 100 : 1) || 0, box.width / 2);
  const mine = { ...look, opacity: look.opacity * Number(style.opacity), radius };
  if (Object.hasOwn(PATHS, node.tagName)) return [shapeMark(node, style, mine)];
  if (node.tagName === "text" || node.tagName === "tspan") return drawnTextMark(node, style, mine);
  const within = ["hidden", "clip"].includes(style.overflowX) && node.tagName !== "svg" ? { ...mine, clip: box } : mine;
  const children = [...node.childNodes].flatMap((child) => (child instanceof Text ? textMarks(child, style, within) : child instanceof Element ? elementMarks(child, within) : []));
  if (node instanceof SVGElement) return children;
  const picture = ["CANVAS", "IMG"].includes(node.tagName) ? [{ kind: "picture", ...mine, ...box, node, part: partOf(node, style, box), filter: style.filter }] : [];
  return [...boxMarks(style, box, mine), ...picture, ...children];
};

// The marks of a figure and the box around them.
const figureMarks = (figure) => {
  const marks = elementMarks(figure, { opacity: 1, clip: null, radius: 0 });
  const rect = figure.getBoundingClientRect();
  const right = Math.max(rect.right, ...marks.map((mark) => (mark.kind === "box" || mark.kind === "picture" ? (mark.clip ? mark.clip.x + mark.clip.width : mark.x + mark.width) : 0)));
  return { marks, x: rect.left, y: rect.top, width: right - rect.left, height: Math.max(rect.height, figure.scrollHeight), ground: groundOf(figure) };
};

// The colour behind a figure: that of the nearest element that has one.
const groundOf = (node) => {
  for (let behind = node; behind; behind = behind.parentElement) {
    const { backgroundColor } = getComputedStyle(behind);
    if (!isClear(backgroundColor)) return backgroundColor;
  }
  return "#ffffff";
};
