// The state of an image's page, as its address holds it.

const MODES = [
  ["heat", "Heat map"],
  ["sprites", "Semantic map"],
  ["groups", "Neuron groups"],
  ["original", "Photo"],
];
const ORDERS = [
  ["attribution", "by attribution"],
  ["activation", "by activation"],
];
const SCALES = [
  ["each", "each layer’s own scale"],
  ["all", "one scale"],
];
const DEFAULTS = { mode: "heat", order: "attribution", scale: "each", opacity: 75 };
// What stays the same on the next image and at the next layer.
const KEPT_STATE = ["mode", "order", "scale", "opacity", "at"];

const whole = (text, lowest, highest) => (/^\d+$/.test(text || "") && Number(text) >= lowest && Number(text) <= highest ? Number(text) : null);

const oneOf = (text, options, otherwise) => (options.includes(text) ? text : otherwise);

const namesOf = (options) => options.map(([name]) => name);

// A class in the address is a number of a single explained class; without one, the report's own question is shown.
const explainedOf = (image, text) => {
  const wanted = whole(text, 0, Number.MAX_SAFE_INTEGER);
  const found = wanted === null ? -1 : image.explained.findIndex(({ positive, negative }) => positive === wanted && negative === null);
  return found < 0 ? 0 : found;
};

const placeOf = (layer, text) => {
  const [row, column] = (text || "").split(",").map((part, at) => whole(part, 1, at ? layer.width : layer.height));
  return row && column ? (row - 1) * layer.width + column - 1 : null;
};

const placeText = (layer, place) => `${Math.floor(place / layer.width) + 1},${(place % layer.width) + 1}`;

// The position of another layer at the centre of a position of this layer.
const samePoint = (layer, place, other) => {
  const [across, down] = [((place % layer.width) + 0.5) / layer.width, (Math.floor(place / layer.width) + 0.5) / layer.height];
  return Math.floor(down * other.height) * other.width + Math.floor(across * other.width);
};

const readImageState = (image, layer) => {
  const state = viewState();
  const groups = layer.groups.length;
  const mode = oneOf(state.get("mode"), namesOf(MODES), DEFAULTS.mode);
  const group = whole(state.get("group"), 1, groups);
  return {
    explained: explainedOf(image, state.get("class")),
    mode: mode === "groups" && !groups ? DEFAULTS.mode : mode,
    order: oneOf(state.get("order"), namesOf(ORDERS), DEFAULTS.order),
    scale: oneOf(state.get("scale"), namesOf(SCALES), DEFAULTS.scale),
    opacity: whole(state.get("opacity"), 0, 100) ?? DEFAULTS.opacity,
    group: group === null ? null : group - 1,
    place: placeOf(layer, state.get("at")),
  };
};

// What the address holds of a state; the defaults are left out.
const writtenImageState = (image, layer, state) => ({
  class: state.explained ? image.explained[state.explained].positive : null,
  ...Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, state[key] === DEFAULTS[key] ? null : state[key]])),
  group: state.group === null ? null : state.group + 1,
  at: state.place === null ? null : placeText(layer, state.place),
});

const keptState = (state) => Object.fromEntries([...state].filter(([key]) => KEPT_STATE.includes(key)));
