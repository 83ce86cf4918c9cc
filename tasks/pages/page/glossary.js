// Terms that explain themselves, and the glossary at the end of a page. `DEFINITIONS` come from glossary.json.

// Words with a definition that appears on hover, focus and tap.
const term = (name, words = name) => explaining(make("button", { type: "button", class: "term", "data-term": name }, words));

const explaining = (button) => {
  const name = button.dataset.term;
  if (!Object.hasOwn(DEFINITIONS, name)) throw new Error(`The glossary has no term ${name}.`);
  const lines = () => [make("strong", {}, capital(name)), make("div", {}, DEFINITIONS[name])];
  button.append(make("span", { class: "unseen" }, `: ${DEFINITIONS[name]}`));
  button.addEventListener("click", () => pictureTip.show(lines(), button.getBoundingClientRect()));
  return withTip(button, lines);
};

const glossarySection = (names) =>
  make(
    "section",
    { class: "glossary" },
    make("h2", { id: "glossary" }, "Glossary"),
    make("dl", {}, ...[...names].sort().map((name) => make("div", {}, make("dt", {}, name), make("dd", {}, DEFINITIONS[name])))),
  );
