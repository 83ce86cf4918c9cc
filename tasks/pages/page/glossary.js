// Terms that explain themselves, and the glossary at the end of a page. `DEFINITIONS` come from glossary.json.

// Words with a definition that appears on hover, focus and tap.
const term = (name, words = name) => explaining(make("button", { type: "button", class: "term", "data-term": name }, words));

const termLines = (name) => [make("strong", {}, capital(name)), make("div", {}, DEFINITIONS[name])];

// Adds the definition to an element with the attribute data-term.
const explaining = (node) => {
  const name = node.dataset.term;
  if (!Object.hasOwn(DEFINITIONS, name)) throw new Error(`The glossary has no term ${name}.`);
  node.setAttribute("aria-description", DEFINITIONS[name]);
  node.addEventListener("click", (event) => {
    event.preventDefault(); // without the script, it is a link to the glossary
    pictureTip.show(termLines(name), node.getBoundingClientRect());
  });
  return withTip(node, () => termLines(name));
};

const glossarySection = (names) =>
  make(
    "section",
    { class: "glossary" },
    make("h2", {}, "Glossary"),
    make("dl", {}, ...[...names].sort().map((name) => make("div", {}, make("dt", {}, name), make("dd", {}, DEFINITIONS[name])))),
  );
