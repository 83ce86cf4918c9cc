// What the report's numbers are called, and what they mean.

const METHODS = {
  gradient: "gradient times activation",
  integrated: "integrated gradients",
};

const KINDS = { label: "Labels", class: "Classes", wrong: "Wrong predictions" };

// For attributes, where no element can keep a name's marks of writing direction to itself.
const isolated = (name) => `\u2068${name}\u2069`;

const className = (number) => (classNamed.has(number) ? classNamed.get(number).name : `class ${number}`);

const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${decimal(Math.abs(value))}`;

const percent = (share) => {
  const whole = 100 * share;
  if (whole > 0 && whole < 1) return "< 1 %";
  return `${whole < 10 && whole % 1 ? whole.toFixed(1) : Math.round(whole)} %`;
};

const sideOf = (value) => (value < 0 ? "against" : "for");

// What one heat map explains, as nodes and as text.
const explainedParts = ({ positive, negative }, part) => [
  positive === null ? "all classes together" : part(className(positive)),
  ...(negative === null ? [] : [" against ", part(className(negative))]),
];

const specParts = ({ positive, negative }) => {
  const first = positive === "auto" ? "each image’s highest class" : positive === "all" ? "all classes together" : nameOf(className(positive));
  if (negative === "none") return [first];
  const other = positive === "auto" ? "its second highest" : "each image’s highest other class";
  return [first, " against ", negative === "auto" ? other : nameOf(className(negative))];
};

const methodWords = (spec) => METHODS[spec.method] + (spec.method === "integrated" ? ` in ${count(spec.steps, "step")} from the silent layer` : "");

const layerFacts = (layer) =>
  [layer.kind, count(layer.channels, "channel"), ...(layer.height * layer.width > 1 ? [`maps of ${layer.height} × ${layer.width}`] : []), ...(layer.receptive_field ? [`sees ${layer.receptive_field} px`] : [])].join(" · ");

const ABOUT_ATTRIBUTION =
  "A channel’s attribution is how much it adds to the score that is explained, to first order: above 0 it speaks for the class, below 0 against it.";

const derivedTag = () => make("span", { class: "derived", title: "derived from numbers, not said by a person" }, "derived");
