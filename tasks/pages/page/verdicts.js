// How far a layer's numbers can be believed, in words, colour and form.

const VERDICTS = {
  reliable: { kind: "reliable", marks: [["path", { d: "M4.5 8.4l2.5 2.5 4.6-5.2" }]], words: "Sums and order of the attributions can be trusted." },
  "order only": { kind: "order-only", marks: [["path", { class: "filled", d: "M8 3.6a4.4 4.4 0 0 1 0 8.8z" }], ["circle", { cx: 8, cy: 8, r: 4.4 }]], words: "The order of the channels can be trusted, the size of their attributions cannot." },
  "not reliable": { kind: "not-reliable", marks: [["path", { d: "M5 5l6 6M11 5l-6 6" }]], words: "Neither size nor order of the attributions can be trusted." },
};

// A chip such as "✓ reliable". `reason` is told on hover and in the chip's accessible description.
const verdictChip = (verdict, reason = "") => {
  const known = VERDICTS[verdict];
  if (!known) return "";
  const icon = makeDrawn("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, ...known.marks.map(([tag, attributes]) => makeDrawn(tag, attributes)));
  const chip = make("span", { class: `verdict ${known.kind}` }, icon, verdict, make("span", { class: "unseen" }, `: ${reason || known.words}`));
  return withTip(chip, () => [make("div", {}, reason || known.words)]);
};
