// The page of a unit: its large sprite, scores, recipe and similar sprites.

const LARGE_PX = 512;

const showUnit = async (root, layer, unit, isCurrent) => {
  const sprites = await loadSprites(layer);
  if (!isCurrent()) return null;
  const sprite = sprites.find((other) => other.unit === unit);
  if (!sprite) return showMissing(root, `This layer has no sprite of ${layer.mixes ? "mix" : "channel"} ${unit}.`, layerPath(layer));
  const [before, after] = [sprites[sprite.index - 1], sprites[sprite.index + 1]];
  wayOf(layer).sprite = sprite;
  const picture = canvasFor(LARGE_PX, LARGE_PX, { class: "large", role: "img", "aria-busy": "true", "aria-label": `sprite of ${sprite.title}` });
  picture.style.width = picture.style.height = "";
  root.className = "page";
  root.replaceChildren(
    make("header", { class: "bar" }, crumbs(homeLink(), make("a", { href: layerPath(layer) }, ...layerTitle(layer))), turns("previous and next sprite", goal(layer, before), goal(layer, after))),
    make(
      "article",
      { class: "unit" },
      make("div", { class: "picture" }, picture, losslessLink(sprite)),
      make(
        "div",
        { class: "facts" },
        make("h1", { tabindex: -1 }, sprite.title),
        ...(sprite.label ? [make("p", { class: "label" }, nameOf(sprite.label))] : []),
        flagList(sprite),
        scoreList(sprite),
        recipeList(layer),
      ),
    ),
    ...reported(layer, sprite),
    ...alike(layer, sprites, sprite),
  );
  document.title = `${sprite.title} · ${layer.name} · ${site.model}`;
  root.querySelector("h1").focus({ preventScroll: true });
  drawLarge(picture, sprite, layer);
  const go = (other) => () => other && (window.location.hash = unitPath(layer, other));
  return { close: () => {}, keys: { Escape: () => (window.location.hash = layerPath(layer)), ArrowLeft: go(before), ArrowRight: go(after) } };
};

const goal = (layer, sprite) => sprite && { path: unitPath(layer, sprite), title: sprite.title };

// Draws from the spritemap at once, and from the lossless shard when it is loaded.
const drawLarge = async (canvas, sprite, layer) => {
  const context = canvas.getContext("2d");
  const draw = (picture, { sheet, cell }) => {
    context.clearRect(0, 0, canvas.width, canvas.height); // a shard's sprites may have opacity
    drawCell(context, picture, sheet, cell, 0, 0, canvas.width);
  };
  const fromSpritemap = openSheets(layer).get(sprite.sheet.file).then((picture) => draw(picture, sprite));
  const fromShard = sprite.lossless ? loadSheet(sprite.lossless.sheet) : Promise.reject(new Error("The place of the shard is unknown."));
  const [first, better] = await Promise.allSettled([fromSpritemap, fromShard]);
  if (better.status === "fulfilled") {
    draw(better.value, sprite.lossless);
    better.value.close();
  } else if (first.status === "rejected") canvas.replaceWith(make("p", { class: "failure", role: "alert" }, "The sprite could not be loaded."));
  canvas.setAttribute("aria-busy", "false");
};

const losslessLink = (sprite) => {
  if (!sprite.lossless) return "";
  const { sheet, cell } = sprite.lossless;
  return make("p", { class: "quiet small" }, `lossless original: cell ${cell} of `, make("a", { href: urlOf(sheet.file) }, sheet.file.split("/").pop()));
};

const flagList = (sprite) => {
  if (!sprite.flags.length) return make("p", { class: "quiet" }, "no flags");
  return make("ul", { class: "flags" }, ...sprite.flags.map((flag) => make("li", {}, make("strong", {}, plain(flag)), `: ${FLAGS[flag]}`)));
};

const scoreList = (sprite) => {
  const lines = Object.entries(SCORES)
    .filter(([score]) => sprite.scores[score] !== null)
    .map(([score, [words, meaning]]) => make("div", {}, make("dt", {}, words), make("dd", {}, make("b", {}, decimal(sprite.scores[score])), make("span", { class: "quiet" }, meaning))));
  const rung = make("div", {}, make("dt", {}, "attempt"), make("dd", {}, make("b", {}, sprite.rung), make("span", { class: "quiet" }, RUNGS[sprite.rung])));
  return make("dl", { class: "scores" }, ...lines, rung);
};

const recipeList = (layer) => {
  const settings = { ...site.settings, ...layer.settings };
  const value = (given) => (given === null ? "–" : Array.isArray(given) ? given.map((part) => (typeof part === "number" ? +part.toFixed(4) : part)).join(", ") || "none" : String(given));
  const line = ([name, given]) => make("div", {}, make("dt", {}, plain(name)), make("dd", {}, value(given)));
  const short = ["steps", "size_px", "objective"].filter((name) => name in settings).map((name) => `${plain(name)} ${settings[name]}`);
  return make(
    "details",
    { class: "recipe" },
    make("summary", {}, "Recipe ", ...keyOf(site.recipe), make("span", { class: "quiet" }, short.length ? ` · ${short.join(", ")}` : "")),
    make("dl", {}, ...Object.entries(settings).map(line)),
  );
};

// The channel in reports: its attribution and its example images.
const reported = (layer, sprite) => {
  if (layer.mixes) return [];
  return site.reports.filter((report) => Object.hasOwn(report.layers, layer.name)).map((report) => {
    const section = make("section", { class: "reported", "aria-busy": "true" }, make("h2", {}, "In ", make("a", { href: `${urlOf(report.folder)}index.html#/layer/${encodeURIComponent(layer.name)}/0` }, ...keyOf(report.dataset))));
    fillReported(section, report, layer, sprite).catch(() => section.append(make("p", { class: "failure" }, "The report could not be loaded."))).finally(() => section.setAttribute("aria-busy", "false"));
    return section;
  });
};

const fillReported = async (section, report, layer, sprite) => {
  const numbers = await loadNumbers(`layer:${layer.name}`, `${report.folder}${report.layers[layer.name]}`, "The report's data could not be loaded.");
  const mean = numbers.sets[0].mean[sprite.channel];
  section.append(make("p", {}, `mean attribution ${decimal(mean)} to ${report.explained}`));
  const known = numbers.channels.find((other) => other.channel === sprite.channel);
  if (!known) return;
  section.append(make("p", { class: "words" }, nameOf(known.words), " ", make("span", { class: "derived", title: "This line is generated from the numbers by rules." }, "derived")));
  if (known.classes.length) section.append(make("p", { class: "quiet small" }, "highest activations for ", ...known.classes.flatMap(([name, above], place) => [place ? ", " : "", nameOf(name), ` (${decimal(above)} deviations above its mean)`])));
  if (!numbers.patches) return;
  const sheet = { ...numbers.patches, file: `${report.folder}${numbers.patches.file}` };
  const picture = await loadSheet(sheet);
  const patch = (cell, place) => {
    const canvas = canvasFor(80, 80, { role: "img", "aria-label": known.patches.names[place], title: `${known.patches.names[place]}: ${decimal(known.patches.values[place])}` });
    drawCell(canvas.getContext("2d"), picture, sheet, cell, 0, 0, canvas.width);
    return make("li", { class: known.patches.quantiles[place] === null ? "" : "sample" }, canvas);
  };
  section.append(make("ul", { class: "patches", "aria-label": "images with the highest activations, then samples of lower quantiles" }, ...known.patches.cells.map(patch)));
  picture.close();
};

const alike = (layer, sprites, sprite) => {
  if (!sprite.neighbours.length) return [];
  const links = sprite.neighbours.map(({ index, likeness }) => {
    const other = sprites[index];
    const canvas = canvasFor(112, 112, { "aria-hidden": "true" });
    canvas.style.width = canvas.style.height = "";
    openSheets(layer).get(other.sheet.file).then((picture) => drawCell(canvas.getContext("2d"), picture, other.sheet, other.cell, 0, 0, canvas.width), () => {});
    const caption = make("span", {}, other.unit, make("span", { class: "quiet" }, ` ${likeness.toFixed(2)}`));
    return make("li", {}, make("a", { href: unitPath(layer, other), "aria-label": `${other.title}, similarity ${likeness.toFixed(2)}`, title: other.label || other.title }, canvas, caption));
  });
  return [make("section", { class: "alike" }, make("h2", {}, "Similar sprites"), make("ul", {}, ...links))];
};
