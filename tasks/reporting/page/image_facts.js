// What the model says of an image, and the tools of its map.

// A choice may draw the buttons again. The focus then returns to the pressed one.
const focusAgain = (selector) => {
  if (document.activeElement !== document.body) return;
  const node = document.querySelector(selector);
  if (node) node.focus({ preventScroll: true });
};

const choices = (words, options, chosen, onChoose) => {
  const choose = (value) => () => {
    onChoose(value);
    focusAgain(`[role=group][aria-label="${words}"] [aria-pressed=true]`);
  };
  return make("div", { class: "choices", role: "group", "aria-label": words }, ...options.map(([value, ...inner]) => make("button", { type: "button", "aria-pressed": String(value === chosen), onclick: choose(value) }, ...inner)));
};

const decision = (image) => {
  const label = image.label === null ? "" : make("span", { class: "quiet" }, " · label: ", nameOf(image.label));
  if (hasValues) return make("p", { class: "decision" }, nameOf(capital(className(image.explained[0].positive))), ": ", make("strong", {}, decimal(image.predicted[0][1])), label);
  const threshold = site.head === "two classes" ? make("span", { class: "quiet" }, " · threshold: ", ...thresholdParts()) : "";
  return make("p", { class: "decision" }, "Predicted: ", make("strong", {}, nameOf(className(image.predicted[0][0]))), " ", rightness(image.right), label, threshold);
};

const predictions = (image) => {
  if (hasValues) return "";
  const line = ([number, probability]) => make("li", {}, make("span", { class: "class-name", title: className(number) }, nameOf(className(number))), valueBar(probability, 1), make("span", {}, percent(probability)));
  return make("ol", { class: "predictions", "aria-label": "predicted classes with their probabilities" }, ...image.predicted.map(line));
};

const placeWords = (target, order) => {
  if (order === "activation") return ["Channels with the highest activations here."];
  const explained = explainedParts(target, nameOf);
  return hasValues ? ["Channels that raise ", ...explained, " most here."] : ["Channels with the strongest support for ", ...explained, " here."];
};

// The values under the pointer. Reports of earlier versions lack activations.
const readout = (layer, details, map, place, target, order) => {
  const value = attributionAt(map, place);
  const explained = value === 0 ? [] : [` ${verbOf(value)} `, ...explainedParts(target, nameOf)];
  const amounts = details.amounts || [];
  const active = order === "activation" && amounts.length ? [make("span", {}, ` · activation of channel ${details.activated[place][0]}: ${decimal((amounts[place] / 255) * details.highest)}`)] : [];
  return [make("span", {}, `${positionWords(layer, place)}: `), signedNumber(value), make("span", {}, UNIT), make("span", { class: "quiet" }, ...explained), ...active];
};

const opacityTool = (opacity, onOpacity) =>
  make("label", { class: "tool" }, make("span", {}, "Map"), make("input", { type: "range", min: 0, max: 100, value: opacity, "aria-label": "opacity of the map", oninput: (event) => onOpacity(Number(event.target.value)) }));

const rounded = (value) => Number(value.toPrecision(4));

// One row for each position.
const positionTable = (layer, details, map) => [
  ["row", "column", `attribution${UNIT_WORDS}`, "strongest channels by attribution", "strongest channels by activation", "activation of the first"],
  ...map.values.map((_, place) => [Math.floor(place / layer.width) + 1, (place % layer.width) + 1, rounded(attributionAt(map, place)), (map.channels[place] || []).join(" "), (details.activated[place] || []).join(" "), (details.amounts || []).length ? rounded((details.amounts[place] / 255) * details.highest) : null]),
];
