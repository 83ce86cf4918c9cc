// The wording of the report's numbers.

const METHODS = {
  gradient: "gradient times activation",
  integrated: "integrated gradients",
};

// The tabs of the sets of images.
const KINDS = { class: "Classes", label: "Labels", right: "Right and wrong", wrong: "Right and wrong", all: "All images" };

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

// Scores are logits; the values of a regression have a unit that only the user knows.
const UNIT = hasValues ? "" : " logits";
const UNIT_WORDS = hasValues ? "" : " in logits";
const withUnit = (value) => signed(value) + UNIT;

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

const methodWords = (method, steps = site.spec.steps) => METHODS[method] + (method === "integrated" ? ` in ${count(steps, "step")} from zero activations` : "");

// The method of a layer; reports of earlier versions have one method for all.
const methodOf = (layer) => layer.method || site.spec.method;

const layerFacts = (layer) => {
  const facts = [[layer.kind], [count(layer.channels, "channel")]];
  if (layer.height * layer.width > 1) facts.push([`${layer.height} × ${layer.width} positions`]);
  if (layer.receptive_field) facts.push([term("receptive field"), ` ${layer.receptive_field} px`]);
  return facts.flatMap((fact, at) => (at ? [" · ", ...fact] : fact));
};

const evidenceParts = () => (hasValues ? ["What raises and lowers ", ...specParts(site.spec)] : ["Evidence for ", ...specParts(site.spec)]);

const aboutAttribution = () =>
  hasValues
    ? ["The ", term("attribution"), " of a channel is its contribution to the value. Positive attributions raise the value, negative attributions lower it."]
    : ["The ", term("attribution"), " of a channel is its contribution to the explained ", term("score"), ", in ", term("logit", "logits"), ". Positive values support the class, negative values oppose it."];

// Names the class that is predicted above the threshold of one score.
const thresholdParts = () => [nameOf(className(1)), ` above ${site.spec.threshold || 0.5}`];

// What to do on a screen; paper leaves it out.
const onScreen = (words) => make("span", { class: "on-screen" }, words);

const derivedTag = () => make("span", { class: "derived", title: "This line is generated from the numbers by rules." }, "derived");
