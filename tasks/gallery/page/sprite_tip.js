// The tip beside a sprite's cell, and its text for screen readers.

const TOLD = ["objective", "specificity", "photo_ratio"];

const told = (sprite) => TOLD.filter((score) => sprite.scores[score] !== null).map((score) => [SCORES[score][0], decimal(sprite.scores[score])]);

const flagsOf = (sprite) => flagWords(sprite.flags) || "no flags";

const spoken = (sprite) =>
  [sprite.title, ...(sprite.label ? [sprite.label] : []), ...told(sprite).map((fact) => fact.join(" ")), flagsOf(sprite)].join(", ");

const tipLines = (sprite) => [
  make("strong", {}, sprite.title),
  ...(sprite.label ? [make("div", {}, nameOf(sprite.label))] : []),
  ...told(sprite).map((fact) => factLine(...fact)),
  make("div", { class: sprite.flags.length ? "flagged" : "quiet" }, flagsOf(sprite)),
];
