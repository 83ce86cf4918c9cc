// The frame in place of a sprite that was not rendered.

const NO_SPRITE = "sprite not rendered";
const EXAMPLE_ONLY = "example image, sprite not rendered";

// A word of a command line, quoted for a POSIX shell.
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

// The command that renders a channel. `options` are further words, such as ["--recipe", "fast"].
const spritesCommand = (model, layer, channel, options = []) => ["diamond-cutter", "sprites", model, "--layers", layer, "--channels", channel, ...options].map((word) => quoted(String(word))).join(" ");

// A dashed frame. It holds a small example image if there is one, and tells the command on hover and focus.
const missingSprite = ({ exampleOf = null, command = "" } = {}) => {
  const words = exampleOf ? EXAMPLE_ONLY : NO_SPRITE;
  const frame = make(
    "span",
    { class: "no-sprite", role: "img", tabindex: command ? 0 : null, "aria-label": command ? `${words}; to render it, run ${command}` : words },
    exampleOf ? make("span", { class: "no-sprite-example" }, exampleOf) : "",
    make("span", { class: "no-sprite-words", "aria-hidden": "true" }, words),
  );
  return command ? withTip(frame, () => renderLines(words, command)) : frame;
};

const renderLines = (words, command) => [make("div", {}, capital(words)), make("div", { class: "quiet" }, "To render it, run:"), make("code", {}, command)];
