// Attribution between neuron groups of consecutive layers: one column for each layer, one sprite with a name for each group. The width of
// a link shows its attribution.

const NODE_PX = 64;
const NODE_GAP_PX = 46;
const NAME_PX = 132; // for the name under a sprite
const COLUMN_PX = 300;
const LEAST_COLUMN_PX = 190; // narrower pages scroll
const HEAD_PX = 34;
const TAIL_PX = 72; // for the name of the last column
const LEAST_SHARE = 0.015; // of the widest link; thinner links are not drawn

const roomOf = (root) => {
  const { paddingLeft, paddingRight } = getComputedStyle(root);
  return root.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight) - 8;
};

const groupTitle = (group, layer) => `group ${group.number + 1} of ${isolated(layer.name)}`;

// `layers` are consecutive layers of the report; `roomPx` is the width above which the drawing scrolls.
const makeFlow = (layers, roomPx) => {
  const flows = layers.slice(1).map((next, at) => site.flows.find((flow) => flow.layer === layers[at].name && flow.next_layer === next.name));
  const columns = layers.map((layer) => [...layer.groups].sort((one, other) => other.attribution - one.attribution));
  const tallest = Math.max(...columns.map((groups) => groups.length));
  const height = HEAD_PX + tallest * (NODE_PX + NODE_GAP_PX);
  const columnPx = Math.max(LEAST_COLUMN_PX, Math.min(COLUMN_PX, (roomPx - NODE_PX - TAIL_PX) / Math.max(1, layers.length - 1)));
  const width = (layers.length - 1) * columnPx + NODE_PX + TAIL_PX;
  const yOf = (column, row) => HEAD_PX + row * (NODE_PX + NODE_GAP_PX) + ((tallest - columns[column].length) * (NODE_PX + NODE_GAP_PX)) / 2;
  const links = placedLinks(flows, columns, yOf);
  const paths = links.map((link) => {
    const [left, right] = [link.column * columnPx + NODE_PX, (link.column + 1) * columnPx];
    const middle = (left + right) / 2;
    const path = makeDrawn("path", { class: `link ${sideOf(link.value)}`, d: `M${left} ${link.from}C${middle} ${link.from} ${middle} ${link.to} ${right} ${link.to}`, "stroke-width": Math.max(link.width, 0.75) });
    const [from, to] = [layers[link.column], layers[link.column + 1]];
    return withTip(path, () => [make("strong", {}, withUnit(link.value)), make("div", {}, groupTitle(link.source, from), " adds this to ", groupTitle(link.goal, to), ".")]);
  });
  const light = (column, group) =>
    links.forEach((link, at) => {
      const touches = group === null || (link.column === column && link.source === group) || (link.column + 1 === column && link.goal === group);
      paths[at].classList.toggle("dim", !touches);
    });
  const heads = layers.map((layer, column) => {
    const head = make("a", { class: "flow-head", href: layerPath(layer), title: layer.name }, nameOf(layer.name));
    Object.assign(head.style, { left: `${column * columnPx}px`, width: `${column === layers.length - 1 ? NAME_PX : columnPx - 16}px` });
    return head;
  });
  const nodes = columns.flatMap((groups, column) => groups.map((group, row) => flowNode(layers[column], group, column * columnPx, yOf(column, row), (on) => light(column, on ? group : null))));
  const picture = make("div", { class: "flow-picture" }, makeDrawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...paths), ...heads, ...nodes);
  Object.assign(picture.style, { width: `${width}px`, height: `${height}px` });
  picture.style.setProperty("--fit", Math.min(1, PAPER_PX / width));
  return make("div", { class: "flow", tabindex: 0, role: "group", "aria-label": "neuron groups and their attribution through the next layer", onkeydown: (event) => event.key.startsWith("Arrow") && event.stopPropagation() }, picture);
};

// Links at a node are stacked in the order of their other ends, so that no two links overlap.
const placedLinks = (flows, columns, yOf) => {
  const all = flows.flatMap((flow, column) =>
    flow ? columns[column].flatMap((source, row) => columns[column + 1].map((goal, goalRow) => ({ column, source, row, goal, goalRow, value: flow.attribution[source.number][goal.number] }))) : [],
  );
  const most = Math.max(0, ...all.map((link) => Math.abs(link.value)));
  const drawn = all.filter((link) => Math.abs(link.value) > LEAST_SHARE * most);
  const sums = new Map();
  const key = (link, side) => (side === "from" ? `${link.column}:${link.row}:from` : `${link.column + 1}:${link.goalRow}:to`);
  for (const link of drawn) for (const side of ["from", "to"]) sums.set(key(link, side), (sums.get(key(link, side)) || 0) + Math.abs(link.value));
  const scale = NODE_PX / Math.max(...sums.values(), Number.MIN_VALUE);
  const used = new Map();
  for (const link of drawn) {
    link.width = Math.abs(link.value) * scale;
    for (const [side, column, row] of [["from", link.column, link.row], ["to", link.column + 1, link.goalRow]]) {
      const name = key(link, side);
      const top = yOf(column, row) + (NODE_PX - sums.get(name) * scale) / 2;
      link[side] = top + (used.get(name) || 0) + link.width / 2;
      used.set(name, (used.get(name) || 0) + link.width);
    }
  }
  return drawn.sort((one, other) => other.width - one.width);
};

const flowNode = (layer, group, left, top, light) => {
  const words = `${groupTitle(group, layer)}, named after ${isolated(groupName(group))}, attribution ${withUnit(group.attribution)}${flagsOf(group).length ? `, ${flagWords(flagsOf(group))}` : ""}`;
  const node = make(
    "a",
    { class: "flow-node", href: withState(layerPath(layer), { group: group.number + 1 }), "aria-label": words, title: words, onpointerenter: () => light(true), onpointerleave: () => light(false), onfocus: () => light(true), onblur: () => light(false) },
    make("span", { class: "flow-sprite" }, groupSprite(layer, group)),
    make("span", { class: "flow-name" }, signedNumber(group.attribution), make("span", {}, nameOf(groupName(group)))),
  );
  Object.assign(node.style, { left: `${left}px`, top: `${top}px`, width: `${NAME_PX}px` });
  node.firstChild.style.width = node.firstChild.style.height = `${NODE_PX}px`;
  return node;
};

// One row for each pair of groups.
const flowTable = (layers) => [
  ["layer", "group", "next layer", "next group", `attribution${UNIT_WORDS}`],
  ...layers.slice(1).flatMap((next, at) => {
    const flow = site.flows.find((one) => one.layer === layers[at].name && one.next_layer === next.name);
    return flow ? flow.attribution.flatMap((row, from) => row.map((value, to) => [layers[at].name, from + 1, next.name, to + 1, value])) : [];
  }),
];

const flowLegend = () => {
  const line = (side) => makeDrawn("svg", { class: "flow-key", viewBox: "0 0 40 12", "aria-hidden": "true" }, makeDrawn("path", { class: `link ${side}`, d: "M0 6H40", "stroke-width": 9 }));
  return make("p", { class: "flow-legend quiet small" }, line("for"), `+ ${SUPPORTS}`, line("against"), `− ${OPPOSES} (striped)`, make("span", {}, `The width of a link is its attribution${UNIT_WORDS}. Layers run from input (left) to output (right). `, onScreen("Point at a link for its value.")));
};

const flowSection = (title, layers, roomPx) => {
  if (!hasFlow(layers)) return [];
  const flow = makeFlow(layers, roomPx);
  return [
    make(
      "section",
      {},
      make("div", { class: "figure-head" }, make("h2", {}, title), shareFigure(flow, { name: "neuron groups", csv: () => flowTable(layers) })),
      make("p", { class: "quiet about" }, "A ", term("neuron group"), " is a set of channels that respond to the same parts of images. Links show how much a group adds to the groups of the next layer. A group is named after the class that it supports most, or its strongest channels."),
      flowLegend(),
      flow,
    ),
  ];
};

const hasFlow = (layers) => layers.length > 1 && layers.slice(1).some((next, at) => site.flows.some((flow) => flow.layer === layers[at].name && flow.next_layer === next.name));
