// What reports say of a channel: its attribution, its classes, and its example images.

const reported = (layer, sprite) => {
  if (layer.mixes) return [];
  return site.reports.filter((report) => Object.hasOwn(report.layers, layer.name)).map((report) => {
    const section = make("section", { class: "reported", "data-shows": `${report.folder} ${layer.name} ${sprite.unit}`, "aria-busy": "true" }, make("h2", {}, "In the images of ", make("a", { href: `${urlOf(report.folder)}index.html#/layer/${encodeURIComponent(layer.name)}/0` }, nameOf(report.dataset.split("@")[0]))));
    fillReported(section, report, layer, sprite).catch(() => section.append(make("p", { class: "failure" }, "The report could not be loaded."))).finally(() => section.setAttribute("aria-busy", "false"));
    return section;
  });
};

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

const quantileWords = (quantile) => (quantile === null ? "strongest" : `at ${Math.round(100 * quantile)} %`);

const fillReported = async (section, report, layer, sprite) => {
  const numbers = await loadNumbers(`layer:${layer.name}`, `${report.folder}${report.layers[layer.name]}`, "The report's data could not be loaded.");
  const mean = numbers.sets[0].mean[sprite.channel];
  if (mean !== undefined) section.append(make("p", {}, "mean ", term("attribution"), ` ${mean < 0 ? "−" : "+"}${decimal(Math.abs(mean))} to ${report.explained}`, report.mixed ? make("span", { class: "quiet" }, "; this mean mixes the questions of all images") : ""));
  const known = numbers.channels.find((other) => other.channel === sprite.channel);
  if (!known) return;
  const words = saying(known.words);
  if (words) section.append(make("p", { class: "words" }, nameOf(words), " ", make("span", { class: "derived", title: "This line is generated from the numbers by rules." }, "derived")));
  if (known.classes.length) section.append(make("p", { class: "quiet small" }, "highest activations for ", ...known.classes.flatMap(([name, above], place) => [place ? ", " : "", nameOf(name), ` (${signed(above)} SD)`])));
  if (!numbers.patches) return;
  const opened = new Map();
  const pictureOf = (sheet) => {
    if (!opened.has(sheet.file)) opened.set(sheet.file, loadSheet({ file: `${report.folder}${sheet.file}` }));
    return opened.get(sheet.file);
  };
  const patch = async (all, place) => {
    const [sheet, cell] = sheetPart(numbers.patches, all);
    const picture = await pictureOf(sheet);
    const quantile = known.patches.quantiles[place];
    const canvas = canvasFor(84, 84, { role: "img", "aria-label": `${known.patches.names[place]}, ${quantileWords(quantile)}`, title: `${known.patches.names[place]}: ${decimal(known.patches.values[place])}` });
    drawCell(canvas.getContext("2d"), picture, sheet, cell, 0, 0, canvas.width);
    return make("li", {}, canvas, make("span", { class: "quiet small" }, quantileWords(quantile)));
  };
  section.append(
    make("p", { class: "quiet small" }, "Parts of the images, from those that excite the channel most to lower ", term("quantile", "quantiles"), ":"),
    make("ul", { class: "patches", "aria-label": "images with the highest activations, then samples of lower quantiles" }, ...(await Promise.all(known.patches.cells.map(patch)))),
  );
  for (const loading of opened.values()) (await loading).close();
};
