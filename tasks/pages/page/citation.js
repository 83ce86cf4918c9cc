// How a page is cited, and the lines about what it was made of.

const BIBTEX_SPECIAL = /[\\{}$&#^_~%]/g;
const bibtexText = (text) => text.replace(BIBTEX_SPECIAL, (character) => (character === "\\" || character === "^" || character === "~" ? " " : `\\${character}`));

// The key may hold any text; the fields are pairs of a name and a text.
const bibtexEntry = (key, fields) => `@misc{${key.replace(/[^A-Za-z0-9-]+/g, "-")},\n${fields.map(([name, text]) => `  ${name} = {${bibtexText(text)}}`).join(",\n")}\n}`;

const aboutLine = (words, ...value) => make("div", {}, make("dt", {}, words), make("dd", {}, ...value));
