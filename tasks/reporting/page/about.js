// What the report was made of, and how to cite it.

const plainEvidence = () => make("span", {}, ...evidenceParts()).textContent;

const citation = () => {
  const [dataset, model, report] = [site.dataset, site.model, site.report].map((key) => key.split("@"));
  const version = site.versions ? ` ${site.versions.diamond_cutter}` : "";
  return bibtexEntry([dataset[0], model[0], report[1] || report[0]].join("-"), [
    ["title", `${dataset[0]} seen by ${model[0]}`],
    ["howpublished", `Attribution report, Diamond Cutter${version}`],
    ["note", `${plainEvidence()}; data set ${site.dataset}, model ${site.model}, report ${site.report}`],
    ...(site.created ? [["year", site.created.slice(0, 4)]] : []),
  ]);
};

const methodLine = () => {
  const methods = new Map();
  for (const layer of site.layers) methods.set(methodOf(layer), [...(methods.get(methodOf(layer)) || []), layer.name]);
  if (methods.size === 1) return [methodWords([...methods.keys()][0])];
  return [...methods].flatMap(([method, names], at) => [at ? "; " : "", `${methodWords(method)}: `, nameOf(names.join(", "))]);
};

const aboutSection = () => {
  const { versions } = site;
  const cited = citation();
  return make(
    "section",
    { class: "about-report" },
    make("h2", {}, "About this report"),
    make(
      "dl",
      { class: "about-list" },
      aboutLine("Images", ...keyOf(site.dataset), ...(site.labels === null ? [] : [` · labels from ${site.labels}`])),
      aboutLine("Model", ...keyOf(site.model)),
      aboutLine("Explained", plainEvidence()),
      aboutLine("Method", ...methodLine()),
      aboutLine(term("recipe", "Recipe of the sprites"), ...keyOf(site.sprites)),
      aboutLine("Report", ...keyOf(site.report)),
      ...(site.created ? [aboutLine("Measured", site.created)] : []),
      ...(site.command ? [aboutLine("Command", commandLine(site.command))] : []),
      ...(versions ? [aboutLine("Versions", Object.entries(versions).filter(([, version]) => version).map(([name, version]) => `${plain(name)} ${version}`).join(" · "))] : []),
      aboutLine("Citation", copyTool(cited), make("pre", { class: "citation", tabindex: 0, role: "group", "aria-label": "BibTeX" }, cited)),
    ),
  );
};
