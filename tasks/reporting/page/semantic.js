// The semantic map: at each position of an image, the sprite of its strongest channel. The area of a sprite shows how strong it is.

const LEAST_SIDE = 0.3; // of the position; smaller sprites cannot be seen
const FULL_SHARE = 0.9; // of the positions are below full size, so that one strong position does not make the others tiny

// By activation, the amount is that of the channel; reports of earlier versions lack it. By attribution, it is that of the position.
const amountsOf = (details, order, map) => {
  const amounts = order === "activation" ? details.amounts || [] : map.values.map(Math.abs);
  const sorted = [...amounts].sort((one, other) => one - other);
  const full = sorted[Math.floor(FULL_SHARE * (sorted.length - 1))] || sorted[sorted.length - 1];
  return full ? amounts.map((amount) => Math.min(1, amount / full)) : null;
};

const missingCell = (context, x, y, side) => {
  context.setLineDash([Math.max(2, side / 8), Math.max(2, side / 10)]);
  context.lineWidth = Math.max(1, side / 30);
  context.strokeStyle = "rgb(255 255 255 / 0.8)";
  context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
  context.setLineDash([]);
};

// The cells of the sprites that a semantic map shows, in the layer's sheet.
const semanticCells = (numbers, details, order, map) =>
  (order === "activation" ? details.activated : map.channels).filter((strongest) => strongest.length).map(([first]) => knownOf(numbers, first).sprite).filter((sprite) => sprite !== null);

const paintSemantic = (canvas, layer, numbers, details, order, map, drawSprite) => {
  const context = canvas.getContext("2d");
  const amounts = amountsOf(details, order, map);
  const [across, down] = [canvas.width / layer.width, canvas.height / layer.height];
  const channels = order === "activation" ? details.activated : map.channels;
  channels.forEach((strongest, place) => {
    if (!strongest.length) return;
    const side = Math.min(across, down) * Math.max(LEAST_SIDE, amounts ? Math.sqrt(amounts[place]) : 0.9) * 0.96;
    const x = ((place % layer.width) + 0.5) * across - side / 2;
    const y = (Math.floor(place / layer.width) + 0.5) * down - side / 2;
    const { sprite } = knownOf(numbers, strongest[0]);
    if (sprite === null || !drawSprite) missingCell(context, x, y, side);
    else drawSprite(context, sprite, x, y, side);
  });
};

const semanticWords = (layer, details, order, map, numbers) => {
  const channels = order === "activation" ? details.activated : map.channels;
  const named = channels.filter((strongest) => strongest.length);
  const missing = named.filter(([first]) => knownOf(numbers, first).sprite === null).length;
  const sized = amountsOf(details, order, map);
  const what = order === "activation" ? "Each sprite shows the channel with the highest activation at its position." : "Each sprite shows the channel with the strongest support at its position.";
  const size = sized === null ? " All have the same size, because this report does not hold the activations." : order === "activation" ? " Its area shows the activation; the strongest tenth has full size." : " Its area shows the position’s attribution; the strongest tenth has full size.";
  return what + size + (missing ? ` Dashed cells: ${missing} of ${count(named.length, "position")} whose channel has no rendered sprite.` : "");
};
