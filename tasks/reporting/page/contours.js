// Contours of neuron groups: lines of equal activation, found by marching squares on the smooth map.

const GROUP_COLOURS = ["#d1495b", "#00798c", "#7a5195", "#5c8001", "#c77d0a", "#3d5a98", "#8c4a2f", "#4b4b4b"];
const GROUP_DASHES = ["", "10 5", "2 5", "12 4 2 4", "6 3", "16 6", "2 3 8 3", "4 8"];
const LEVEL = 0.5; // of the group's highest activation in the image
const LEVELS_OF_ONE = [0.25, 0.5, 0.75];
const FINER = 5; // samples for each position of the map

const groupColour = (number) => GROUP_COLOURS[number % GROUP_COLOURS.length];
const groupDash = (number) => GROUP_DASHES[(number + Math.floor(number / GROUP_COLOURS.length)) % GROUP_DASHES.length];

// The weights of four neighbours at a share of the way between the middle two: Catmull-Rom, which keeps the value of each position.
const weightsAt = (t) => [((2 - t) * t - 1) * t * 0.5, (t * t * (3 * t - 5) + 2) * 0.5, ((4 - 3 * t) * t + 1) * t * 0.5, (t - 1) * t * t * 0.5];

// The smooth value between positions; outside the map it is 0, so that all contours are closed.
const fieldOf = (values, width, height) => (x, y) => {
  const at = (column, row) => (column < 0 || row < 0 || column >= width || row >= height ? 0 : values[row * width + column]);
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [across, down] = [weightsAt(x - left), weightsAt(y - top)];
  return down.reduce((sum, weight, row) => sum + weight * across.reduce((line, share, column) => line + share * at(left + column - 1, top + row - 1), 0), 0);
};

// Each square of samples that the level crosses gives one or two segments between its sides. A side is named by its first corner, and
// by whether it runs down or across.
const segmentsOf = (sample, columns, rows, level) => {
  const segments = [];
  const points = new Map();
  const cross = (column, row, isDown) => {
    const name = `${column} ${row} ${isDown}`;
    if (!points.has(name)) {
      const [from, to] = [sample(column, row), isDown ? sample(column, row + 1) : sample(column + 1, row)];
      const share = (level - from) / (to - from);
      points.set(name, isDown ? [column, row + share] : [column + share, row]);
    }
    return name;
  };
  for (let row = 0; row < rows - 1; row += 1) {
    for (let column = 0; column < columns - 1; column += 1) {
      const above = [sample(column, row), sample(column + 1, row), sample(column + 1, row + 1), sample(column, row + 1)].map((value) => value >= level);
      const sides = [() => cross(column, row, false), () => cross(column + 1, row, true), () => cross(column, row + 1, false), () => cross(column, row, true)];
      const crossed = sides.filter((_, side) => above[side] !== above[(side + 1) % 4]).map((side) => side());
      for (let at = 0; at + 1 < crossed.length; at += 2) segments.push([crossed[at], crossed[at + 1]]);
    }
  }
  return { segments, points };
};

// Joins segments to lines, so that dashes run on.
const joined = ({ segments, points }) => {
  const ends = new Map();
  segments.forEach((segment) => segment.forEach((end) => ends.set(end, [...(ends.get(end) || []), segment])));
  const left = new Set(segments);
  const lines = [];
  for (const start of segments) {
    if (!left.delete(start)) continue;
    const line = [...start];
    for (let next = start; next; ) {
      const last = line[line.length - 1];
      next = ends.get(last).find((segment) => left.has(segment));
      if (!next) break;
      left.delete(next);
      line.push(next[0] === last ? next[1] : next[0]);
    }
    lines.push(line.map((end) => points.get(end)));
  }
  return lines;
};

// The path of a contour in a drawing of `side` units. `values` are 0 to 255 by position.
const contourPath = (values, width, height, level, side) => {
  const field = fieldOf(values, width, height);
  // Samples lie around the map by one position; the centre of the first position is at 0.
  const [columns, rows] = [(width + 1) * FINER + 1, (height + 1) * FINER + 1];
  const lattice = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) lattice[row * columns + column] = field(column / FINER - 1, row / FINER - 1);
  const lines = joined(segmentsOf((column, row) => lattice[row * columns + column], columns, rows, level));
  const placed = (at, positions) => Math.max(0.002, Math.min(0.998, (at / FINER - 0.5) / positions)) * side;
  return lines.map((line) => `M${line.map(([x, y]) => `${placed(x, width).toFixed(1)} ${placed(y, height).toFixed(1)}`).join("L")}`).join("");
};

const CONTOUR_SIDE = 560;

// A drawing of all groups, or of one group with several levels.
const contoursDrawing = (layer, maps, only = null) => {
  const numbers = maps.map((_, number) => number).filter((number) => only === null || number === only);
  const line = (number, level) => {
    const d = contourPath(maps[number], layer.width, layer.height, 255 * level, CONTOUR_SIDE);
    const shared = { d, fill: "none", "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke" };
    const inside = only === null ? [] : [makeDrawn("path", { d, fill: groupColour(number), "fill-opacity": 0.16, "fill-rule": "evenodd" })];
    return [...inside, makeDrawn("path", { ...shared, stroke: "#fff", "stroke-width": 5.5, "stroke-opacity": 0.85 }), makeDrawn("path", { ...shared, stroke: groupColour(number), "stroke-width": 3, "stroke-dasharray": groupDash(number), "data-group": number })];
  };
  const levels = only === null ? [LEVEL] : LEVELS_OF_ONE;
  return makeDrawn("svg", { class: "contours", viewBox: `0 0 ${CONTOUR_SIDE} ${CONTOUR_SIDE}`, "aria-hidden": "true" }, ...numbers.flatMap((number) => levels.flatMap((level) => line(number, level))));
};

const groupSwatch = (number) =>
  makeDrawn("svg", { class: "swatch", viewBox: "0 0 34 10", "aria-hidden": "true" }, makeDrawn("path", { d: "M1 5H33", fill: "none", stroke: groupColour(number), "stroke-width": 3.5, "stroke-dasharray": groupDash(number) }));
