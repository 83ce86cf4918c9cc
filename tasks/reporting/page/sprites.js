// The sprite of a channel or of a group, with its flags; or the frame of a sprite that is not rendered.

const modelName = site.model.split("@")[0];

const renderCommand = (layer, channel) => spritesCommand(modelName, layer.name, channel, ["--recipe", site.sprites.split("@")[0]]);

const flagsOf = (known) => known.flags || [];

const channelTitle = (known) => `channel ${known.channel}`;

// The words without the part that says nothing about the channel; empty if nothing remains.
const NOTHING_SAID = /^(responds to no class in particular|too few (images|classes)|no images)/;
const tellingWords = (known) => known.words.split("; ").filter((part) => !NOTHING_SAID.test(part)).join("; ");

const spriteTitle = (layer, known) => `channel ${known.channel} of ${isolated(layer.name)}${known.label ? ` · ${isolated(known.label)}` : ""}`;

// The strongest example image of a channel, drawn by `draw`; null if the report has none.
const exampleOf = (numbers, known, draw) => (numbers && numbers.patches && known.patches && known.patches.cells.length ? draw(numbers.patches, known.patches.cells[0]) : null);

// The report holds the sprites of the channels that it shows anywhere. The gallery knows about the others.
const unlistedSprite = (layer, channel) => make("a", { class: "no-sprite", href: galleryPath(layer, channel), "aria-label": `channel ${channel} in the gallery` }, "open in the gallery");

// The picture alone, for places that are links or buttons themselves. `draw` is `cellPicture` or `cellPictureNow`.
const spritePicture = (layer, numbers, known, draw = cellPicture, ...how) =>
  known.sprite === null
    ? missingSprite({ exampleOf: exampleOf(numbers, known, draw) })
    : withFlags(draw(layer.sprites, known.sprite, ...how), flagsOf(known));

// A button that enlarges the sprite. A sprite that is not rendered says how to render it.
const spriteButton = (layer, numbers, known, draw = cellPicture, ...how) => {
  if (known.unlisted) return unlistedSprite(layer, known.channel);
  if (known.sprite === null) return missingSprite({ exampleOf: exampleOf(numbers, known, draw), command: renderCommand(layer, known.channel) });
  const title = spriteTitle(layer, known);
  return enlarging(layer.sprites, known.sprite, {
    title,
    flags: flagsOf(known),
    fileName: `${modelName}-${layer.name}-${known.channel}`,
    caption: make("span", {}, tellingWords({ words: "", ...known }), " ", make("a", { href: galleryPath(layer, known.channel) }, "Open in the gallery")),
    picture: draw(layer.sprites, known.sprite, ...how),
  });
};

const groupSprite = (layer, group) => {
  if (group.sprite === null || !layer.group_sprites) return missingSprite({});
  return withFlags(cellPicture(layer.group_sprites, group.sprite), flagsOf(group));
};

const groupSpriteButton = (layer, group) => {
  if (group.sprite === null || !layer.group_sprites) return missingSprite({});
  return enlarging(layer.group_sprites, group.sprite, {
    title: groupTitle(group, layer),
    flags: flagsOf(group),
    fileName: `${modelName}-${layer.name}-group-${group.number + 1}`,
    caption: `Strongest channels: ${group.channels.slice(0, SHOWN_CHANNELS).join(", ")}`,
    picture: cellPicture(layer.group_sprites, group.sprite),
  });
};

const enlarging = (sheet, cell, { title, flags, fileName, caption, picture }) => {
  const draw = async (canvas) => {
    const drawSprite = await cellPainter(sheet, [cell]);
    canvas.width = canvas.height = sheet.cell_px;
    drawSprite(canvas.getContext("2d"), cell, 0, 0, sheet.cell_px);
  };
  const flagged = flags.length ? `flags: ${flagWords(flags)}` : "";
  const open = () => openPicture({ title, draw, caption: make("span", {}, caption, flagged ? ` ${flagged}` : ""), fileName });
  return make("button", { type: "button", class: "sprite", "aria-label": ["enlarge the sprite of", title, flagged].filter(Boolean).join(" "), title, onclick: open }, withFlags(picture, flags));
};
