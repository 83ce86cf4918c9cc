// The wording of the report's numbers.

const METHODS = {
  gradient: "gradient times activation",
  integrated: "integrated gradients",
};

const KINDS = { label: "Labels", class: "Classes", wrong: "Wrong predictions" };

// Isolates a name's marks of writing direction in attributes, where <bdi> is not possible.
const isolated = (name) => `\u2068${name}\u2069`;

const className = (number) => (classNamed.has(number) ? classNamed.get(number).name : `class ${number}`);

const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${decimal(Math.abs(value))}`;

const percent = (share) => {
  const whole = 100 * share;
  if (whole > 0 && whole < 1) return "< 1 %";
  return `${whole < 10 && whole % 1 ? whole.toFixed(1) : Math.round(whole)} %`;
};

// A regression has a value in place of classes.
const hasValues = site.head === "values";
const SUPPORTS = hasValues ? "raises" : "supports";
const OPPOSES = hasValues ? "lowers" : "opposes";
const SCORE = hasValues ? "value" : "score";
const verbOf = (value) => (value < 0 ? OPPOSES : SUPPORTS);

const sideOf = (value) => (value < 0 ? "against" : "for");

// The classes that a heat map explains, as nodes.
const explainedParts = ({ positive, negative }, part) => [
  positive === null ? "all classes together" : part(className(positive)),
  ...(negative === null ? [] : [" over ", part(className(negative))]),
];

const specParts = ({ positive, negative }) => {
  const first = positive === "auto" ? "each image’s top class" : positive === "all" ? "all classes together" : nameOf(className(positive));
  if (negative === "none") return [first];
  const runnerUp = positive === "auto" ? "its runner-up" : "each image’s top other class";
  const other = site.head === "two classes" ? "the other class" : runnerUp;
  return [first, " over ", negative === "auto" ? other : nameOf(className(negative))];
};

const methodWords = (spec) => METHODS[spec.method] + (spec.method === "integrated" ? ` in ${count(spec.steps, "step")} from zero activations` : "");

const layerFacts = (layer) =>
  [layer.kind, count(layer.channels, "channel"), ...(layer.height * layer.width > 1 ? [`${layer.height} × ${layer.width} cells`] : []), ...(layer.receptive_field ? [`receptive field ${layer.receptive_field} px`] : [])].join(" · ");

const evidenceParts = () => (hasValues ? ["What raises and lowers ", ...specParts(site.spec)] : ["Evidence for ", ...specParts(site.spec)]);

const ABOUT_ATTRIBUTION = hasValues
  ? "The attribution of a channel is its contribution to the value. Positive attributions raise the value, negative attributions lower it."
  : "The attribution of a channel is its contribution to the explained score. Positive values support the class, negative values oppose it.";

// Names the class that is predicted above the threshold of one score.
const thresholdParts = () => [nameOf(className(1)), ` above ${site.spec.threshold || 0.5}`];

const derivedTag = () => make("span", { class: "derived", title: "This line is generated from the numbers by rules." }, "derived");
