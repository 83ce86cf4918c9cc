// How far a layer's numbers can be believed, in words, colour and form.

const VERDICTS = {
  reliable: { kind: "reliable", words: "Sums and order of the attributions can be trusted." },
  "order only": { kind: "order-only", words: "The order of the channels can be trusted, the size of their attributions cannot." },
  "not reliable": { kind: "not-reliable", words: "Neither size nor order of the attributions can be trusted." },
};

// A chip such as "reliable"; the style adds its mark. `reason` is told on hover and to screen readers.
const verdictChip = (verdict, reason = "") => {
  const known = VERDICTS[verdict];
  if (!known) return "";
  const why = reason || known.words;
  const chip = make("span", { class: `verdict ${known.kind}` }, verdict, make("span", { class: "unseen" }, `: ${why}`));
  return withTip(chip, () => [make("div", {}, why)]);
};
