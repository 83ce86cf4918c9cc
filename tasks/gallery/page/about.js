// The end of the first page: what the set was made of, the command, and how to cite it.

const settingValue = (given) => (given === null ? "–" : Array.isArray(given) ? given.map((part) => (typeof part === "number" ? +part.toFixed(4) : part)).join(", ") || "none" : String(given));

const settingsTable = (settings) =>
  make("dl", { class: "about-list settings" }, ...Object.entries(settings).map(([name, given]) => make("div", {}, make("dt", {}, plain(name)), make("dd", {}, settingValue(given)))));

const recipeTable = (settings, key) => {
  const short = ["steps", "size_px", "objective"].filter((name) => name in settings).map((name) => `${plain(name)} ${settings[name]}`);
  return make("details", { class: "recipe" }, make("summary", {}, "Recipe ", nameOf(key.split("@")[0]), make("span", { class: "quiet" }, short.length ? ` · ${short.join(", ")}` : "")), settingsTable(settings));
};

const setCommand = (layers) =>
  ["diamond-cutter", "sprites", modelName, "--layers", ...layers.map((layer) => layer.name), ...recipeOptions].map((word) => quoted(String(word))).join(" ");

const bibTex = () => {
  const { versions } = site.about;
  return bibtexEntry(`sprites-${modelName}-${site.recipe}`, [
    ["title", `Sprites of ${modelName}`],
    ["howpublished", `Rendered with Diamond Cutter${versions ? ` ${versions.diamond_cutter}` : ""}`],
    ["note", `sprites ${site.model} by ${site.recipe}`],
  ]);
};

const aboutSet = () => {
  const { about } = site;
  const layers = site.layers.filter((layer) => layer.kind !== null); // those that the model has
  const versions = about && about.versions ? Object.entries(about.versions).map(([name, value]) => `${plain(name)} ${value}`).join(", ") : null;
  return make(
    "section",
    { class: "about-set", "data-part": "about" },
    make("h2", { id: "about" }, "About this set"),
    make(
      "dl",
      { class: "about-list" },
      aboutLine("model and hash", make("code", {}, nameOf(site.model))),
      aboutLine("recipe and hash", make("code", {}, nameOf(site.recipe))),
      ...(about ? [aboutLine("source of the model", nameOf(about.origin)), aboutLine("input", `${about.width} × ${about.height} px, ${count(about.planes, "channel")}`)] : []),
      ...(versions ? [aboutLine("rendered with", nameOf(versions))] : []),
      ...(about && layers.length ? [aboutLine("command", commandLine(setCommand(layers)))] : []),
      ...(recipeOptions.includes("recipe.json") ? [aboutLine("", "recipe.json lies beside this page.")] : []),
    ),
    Object.keys(site.settings).length ? recipeTable(site.settings, site.recipe) : "",
    about ? make("details", { class: "cite" }, make("summary", {}, "Cite"), make("pre", { class: "citation" }, bibTex())) : "",
  );
};
