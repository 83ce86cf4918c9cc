// The flags of sprites: what each one means and what helps.

const FLAGS = {
  dead: "the activation of the channel stayed at zero",
  grey: "the picture did not change from its start",
  saturated: "more than half of the pixel values are close to black or white",
  checkerboard: "the pattern of the pixel grid is visible",
  not_finite: "the values became infinite or undefined",
};

// `tune` changes transforms, regularisation and learning rate. Dead channels were already retried with other seeds.
const FLAGS_HELP = {
  dead: "Other seeds were tried already. The channel may be dead in the model itself.",
  grey: "Search for other settings of the layer with diamond-cutter tune.",
  saturated: "Search for other settings of the layer with diamond-cutter tune.",
  checkerboard: "Search for other settings of the layer with diamond-cutter tune.",
  not_finite: "Search for other settings of the layer with diamond-cutter tune.",
};

const flagWords = (flags) => flags.map(plain).join(", ");

// What the flags mean and what helps, as lines of a tip.
const flagLines = (flags) => flags.map((flag) => make("div", {}, make("strong", {}, plain(flag)), FLAGS[flag] ? `: ${FLAGS[flag]}. ${FLAGS_HELP[flag]}` : ""));

// A badge for the corner of a sprite. Add `flagWords` to the name of the link or picture around it.
const flagBadge = (flags) => withTip(make("span", { class: "flag-badge", role: "img", "aria-label": `flags: ${flagWords(flags)}` }, "!"), () => flagLines(flags));

// A picture of a sprite with the badge of its flags, or the picture alone.
const withFlags = (picture, flags = []) => (flags.length ? make("span", { class: "badged" }, picture, flagBadge(flags)) : picture);
