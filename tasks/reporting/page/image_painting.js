// Paints what lies over the large image: the heat map, the semantic map, or the contours of neuron groups.

const LEAST_OPACITY = 0.25; // sprites and contours never vanish

const paintHeat = (stage, { layer, map, most, state }) =>
  stage.paint(
    (canvas) => {
      paintOver(canvas.getContext("2d"), heatPicture(layer, map, most), canvas.width);
      paintSigns(canvas.getContext("2d"), layer, map, canvas.width);
    },
    null,
    "greyish",
    state.opacity / 100,
  );

const paintSprites = async (stage, shown) => {
  const { layer, numbers, details, map, state } = shown;
  const drawSprite = layer.sprites ? await cellPainter(layer.sprites, semanticCells(numbers, details, state.order, map)).catch(() => null) : null;
  // Another view may have been chosen while the sprites were loaded.
  if (shown.isCurrent(shown)) stage.paint((canvas) => paintSemantic(canvas, layer, numbers, details, state.order, map, drawSprite), null, "ghost", Math.max(LEAST_OPACITY, state.opacity / 100));
};

const paintStage = (stage, shown) => {
  const { layer, details, state } = shown;
  if (state.mode === "heat") paintHeat(stage, shown);
  else if (state.mode === "sprites") paintSprites(stage, shown);
  else if (state.mode === "groups") stage.paint(null, contoursDrawing(layer, details.groups, state.group), "greyish", Math.max(LEAST_OPACITY, state.opacity / 100));
  else stage.paint(null, null, "", 1);
};
