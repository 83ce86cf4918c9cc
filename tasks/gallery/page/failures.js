// What runs could not render: how much, why, and the command that tries again.

const failureOf = (layer) => site.failures.find((failure) => failure.layer === layer.name) || null;

// More sprites of the layer may come without a new command.
const isInProgress = (layer) => Boolean(layer.inline) && !failureOf(layer);

const failureWords = (failure) => {
  if (failure.channels.length) return `${count(failure.sprites, "sprite")} could not be rendered`;
  return failure.why.some((sentence) => sentence.startsWith("spritemap of ")) ? "the sprites could not be gathered" : "some sprites could not be rendered";
};

const retryCommand = (failure) => ["diamond-cutter", "sprites", modelName, ...failure.retry, ...recipeOptions].map((word) => quoted(String(word))).join(" ");

const failureDetails = (failure, open = false) =>
  make(
    "details",
    { class: "failed-work small", open },
    make("summary", { class: "flagged" }, capital(failureWords(failure))),
    make("ul", {}, ...failure.why.map((sentence) => make("li", {}, nameOf(sentence)))),
    failure.retry.length ? make("p", {}, "To try again, run: ", commandLine(retryCommand(failure))) : make("p", {}, "To try again, run the same command again."),
  );

// Failures in layers that have no sprites at all, and therefore no card.
const failureSection = () => {
  const failures = site.failures.filter((failure) => !layerNamed.has(failure.layer));
  if (!failures.length) return [];
  return [make("section", { "data-part": "failures" }, make("h2", {}, "Could not be rendered"), make("ul", { class: "layers" }, ...failures.map((failure) => make("li", { class: "layer", "data-part": failure.layer }, make("span", { class: "layer-name" }, nameOf(failure.layer)), failureDetails(failure)))))];
};
