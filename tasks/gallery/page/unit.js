// The page of a unit: its large sprite, scores, settings, variants and similar sprites.

const LARGE_PX = 512;

const showUnit = async (root, layer, unit, isCurrent) => {
  let sprites = await loadSprites(layer);
  if (!isCurrent()) return null;
  const own = () => sprites.find((other) => other.unit === unit);
  if (!own()) return isChannel(layer, unit) ? showUnrendered(root, layer, unit) : showMissing(root, `This layer has no sprite of ${layer.mixes ? "mix" : "channel"} ${unit}.`, layerPath(layer));
  root.className = "page";
  root.replaceChildren(...unitParts(layer, sprites, own()));
  document.title = `${own().title} · ${layer.name} · ${site.model}`;
  root.querySelector("h1").focus({ preventScroll: true });
  drawLarge(root.querySelector(".large"), own(), layer);
  const grow = async () => {
    const next = await loadSprites(layer);
    openMoreSheets(layer);
    if (!isCurrent()) return;
    sprites = next;
    if (own()) renewPage(root, unitParts(layer, sprites, own()));
    else showAgain();
  };
  const go = (step) => () => {
    const other = sprites[own().index + step];
    if (other) window.location.hash = unitPath(layer, other);
  };
  return { close: () => {}, grow, keys: { Escape: () => (window.location.hash = layerPathAt(layer, own())), ArrowLeft: go(-1), ArrowRight: go(1) } };
};

const unitParts = (layer, sprites, sprite) => {
  const picture = canvasFor(LARGE_PX, LARGE_PX, { class: "large", role: "img", "aria-busy": "true", "data-shows": sprite.unit, "aria-label": `sprite of ${sprite.title}${sprite.flags.length ? `, flags: ${flagWords(sprite.flags)}` : ""}` });
  picture.style.width = picture.style.height = "";
  return [
    make("header", { class: "bar" }, crumbs(homeLink(), make("a", { href: layerPathAt(layer, sprite) }, ...layerTitle(layer))), make("div", { class: "tools" }, copyLink(), turns("previous and next sprite", goal(layer, sprites[sprite.index - 1]), goal(layer, sprites[sprite.index + 1])))),
    make(
      "article",
      { class: "unit" },
      make("div", { class: "picture" }, withFlags(picture, sprite.flags), pictureTools(layer, sprite)),
      make(
        "div",
        { class: "facts" },
        make("h1", { tabindex: -1 }, sprite.title),
        ...(sprite.label ? [make("p", { class: "label" }, nameOf(sprite.label))] : []),
        make("p", { class: "quiet" }, "in ", make("a", { href: layerPath(layer) }, ...layerTitle(layer)), layer.mixes ? "" : `, ${[depthWords(layer.name), layerFacts(layer)].filter(Boolean).join(" · ")}`),
        flagList(layer, sprite),
        scoreList(sprite),
        recipeTable({ ...site.settings, ...layer.settings }, site.recipe),
      ),
    ),
    layer.mixes ? "" : networkMap(64, layer.name),
    ...reported(layer, sprite),
    ...variantsOf(layer, sprites, sprite),
    ...alike(layer, sprites, sprite),
  ];
};

const goal = (layer, sprite) => sprite && { path: unitPath(layer, sprite), title: sprite.title };

const isChannel = (layer, unit) => !layer.mixes && layer.channels !== null && /^\d+$/.test(unit) && Number(unit) < layer.channels;

// A channel that the layer has, but that was not rendered.
const showUnrendered = (root, layer, unit) => {
  const command = channelsCommand(layer, unit);
  root.className = "page";
  root.replaceChildren(
    make("header", { class: "bar" }, crumbs(homeLink(), make("a", { href: layerPath(layer) }, ...layerTitle(layer)))),
    make("article", { class: "unit" }, make("div", { class: "picture" }, missingSprite({ command })), make("div", { class: "facts" }, make("h1", { tabindex: -1 }, `channel ${unit}`), make("p", {}, "This channel has no sprite yet. To render it, run:"), commandLine(command))),
    networkMap(64, layer.name),
  );
  const grow = async () => (await loadSprites(layer)).some((sprite) => sprite.unit === unit) && showAgain();
  return { close: () => {}, grow, keys: { Escape: () => (window.location.hash = layerPath(layer)) } };
};

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

// Paints a sprite in its own size, from the lossless shard if it is there.
const paintOwnSize = async (canvas, sprite) => {
  const places = [...(sprite.lossless ? [sprite.lossless] : []), sprite];
  for (const { sheet, cell } of places) {
    try {
      const picture = await loadSheet(sheet);
      canvas.width = canvas.height = sheet.cell_px;
      drawCell(canvas.getContext("2d"), picture, sheet, cell, 0, 0, sheet.cell_px);
      picture.close();
      return canvas;
    } catch (error) {
      if (sheet === sprite.sheet) throw error;
    }
  }
  return canvas;
};

const pictureTools = (layer, sprite) => {
  const name = `${modelName} ${layer.name} ${sprite.title}`;
  const enlarge = make("button", { type: "button", onclick: () => openPicture({ title: `${sprite.title} of ${layer.name}`, draw: (canvas) => paintOwnSize(canvas, sprite), fileName: name }) }, "Enlarge");
  return make(
    "p",
    { class: "picture-tools" },
    enlarge,
    shareTools({ png: () => paintOwnSize(make("canvas"), sprite), name }),
    sprite.lossless ? make("a", { class: "quiet small", href: urlOf(sprite.lossless.sheet.file) }, "lossless shard") : "",
  );
};

const flagList = (layer, sprite) => {
  if (!sprite.flags.length) return make("p", { class: "quiet" }, "no flags");
  return make("ul", { class: "flags" }, ...sprite.flags.map((flag) => make("li", {}, make("strong", {}, plain(flag)), `: ${FLAGS[flag] || ""}`, FLAGS_HELP[flag] ? make("span", { class: "quiet help" }, ` ${FLAGS_HELP[flag]}`) : "")));
};

const scoreLine = (words, value, meaning) => make("div", {}, make("dt", {}, words), make("dd", {}, make("b", {}, value), make("span", { class: "quiet" }, meaning)));

// The scores that tell how well the sprite excites its channel; those of the picture are folded.
const scoreList = (sprite) => {
  const given = Object.entries(SCORES).filter(([score]) => sprite.scores[score] !== null);
  const lines = (main) => given.filter(([score]) => TOLD.includes(score) === main).map(([score, [words, meaning]]) => scoreLine(words, decimal(sprite.scores[score]), meaning));
  return make(
    "div",
    {},
    make("dl", { class: "scores" }, ...lines(true)),
    make("details", { class: "recipe" }, make("summary", {}, "More measurements"), make("dl", { class: "scores" }, ...lines(false), scoreLine("attempt", sprite.rung, RUNGS[sprite.rung]))),
  );
};

const spriteTiles = (layer, sprites, caption) =>
  make(
    "ul",
    {},
    ...sprites.map((sprite) => {
      const canvas = canvasFor(112, 112, { "aria-hidden": "true", "data-shows": `${sprite.sheet.file} ${sprite.cell}` });
      canvas.style.width = canvas.style.height = "";
      openSheets(layer).get(sprite.sheet.file).then((picture) => drawCell(canvas.getContext("2d"), picture, sprite.sheet, sprite.cell, 0, 0, canvas.width), () => {});
      const [words, spokenWords] = caption(sprite);
      return make("li", { "data-part": sprite.unit }, make("a", { href: unitPath(layer, sprite), "aria-label": spokenWords, title: sprite.label || sprite.title }, withFailed(canvas, sprite.flags.length > 0), make("span", {}, ...words)));
    }),
  );

const variantsOf = (layer, sprites, sprite) => {
  const others = sprites.filter((other) => other.channel === sprite.channel && other !== sprite);
  if (!others.length) return [];
  return [make("section", { class: "alike", "data-part": "variants" }, make("h2", {}, "Other pictures of this channel"), spriteTiles(layer, others, (other) => [[`variant ${other.variant}`], other.title]))];
};

const alike = (layer, sprites, sprite) => {
  const similar = sprite.neighbours.filter((other) => other.likeness > 0);
  if (!similar.length) return [];
  const likeness = new Map(similar.map((other) => [sprites[other.index], other.likeness]));
  const caption = (other) => [[other.unit, make("span", { class: "quiet" }, ` ${likeness.get(other).toFixed(2)}`)], `${other.title}, similarity ${likeness.get(other).toFixed(2)}`];
  return [make("section", { class: "alike", "data-part": "alike" }, make("h2", {}, "Similar sprites"), make("p", { class: "quiet small" }, "By texture and colour; 1 is the same."), spriteTiles(layer, [...likeness.keys()], caption))];
};
