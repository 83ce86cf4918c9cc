// The page of a layer: its grid of sprites. Its order, filter, zoom and place are in the address.

const ways = new Map(); // the last state of each layer's page

// The address of a layer's page as it was left, with a sprite to begin at.
const layerPathAt = (layer, sprite) => withState(layerPath(layer), { ...ways.get(layer.name), at: sprite.unit });

const wayFrom = (state) => {
  const sort = SORTED_BY.includes(state.get("sort")) ? state.get("sort") : "channel";
  const filter = state.get("show") || "all";
  return { sort, descending: (state.get("order") || (sort === "channel" ? "up" : "down")) === "down", filter: filter in FLAGS || ["sound", "flagged"].includes(filter) ? filter : "all" };
};

const stateOf = ({ sort, descending, filter }) => ({
  sort: sort === "channel" ? null : sort,
  order: descending === (sort !== "channel") ? null : descending ? "down" : "up",
  show: filter === "all" ? null : filter,
});

const failureNotice = (layer) => {
  const failure = failureOf(layer);
  return make("div", { class: "failure-notice", hidden: !failure }, failure ? failureDetails(failure) : "");
};

const showLayer = async (root, layer, isCurrent) => {
  const sprites = await loadSprites(layer);
  if (!isCurrent()) return null;
  const spriteAt = (unit) => (unit ? sprites.find((sprite) => sprite.unit === unit) || null : null);
  const state = viewState();
  const way = wayFrom(state);
  ways.set(layer.name, Object.fromEntries(state));
  const note = (changes) => {
    setViewState(changes);
    ways.set(layer.name, { ...ways.get(layer.name), ...changes });
  };
  const zoom = Number(state.get("zoom"));
  cellPx = zoom >= LEAST_CELL_PX && zoom <= MOST_CELL_PX ? zoom : usualCellPx;
  const grid = makeGrid(
    layer,
    (sprite) => ready && note({ at: sprite === grid.shown()[0] ? null : sprite.unit }),
    () => note(grid.view()),
  );
  let ready = false;
  let counted = "";
  const status = make("p", { class: "count quiet", role: "status" });

  const inOrder = () => sorted(sprites.filter((sprite) => passes(sprite, way.filter)), way);
  const countText = () => {
    const shown = grid.shown().length;
    return `${isInProgress(layer) ? "in progress: " : ""}${shown === sprites.length ? count(shown, "sprite") : `${shown.toLocaleString("en")} of ${count(sprites.length, "sprite")}`}`;
  };

  // A new order starts at its beginning; a link or the way back leads to the last active sprite.
  const apply = (wanted = null, first = null) => {
    grid.show(inOrder(), wanted, first);
    status.textContent = counted = countText();
  };
  const change = () => {
    apply();
    note(stateOf(way));
  };

  // More sprites of the layer, in the order and with the filter that the reader has chosen.
  const grow = async () => {
    const next = await loadSprites(layer);
    await grid.openSheets();
    if (!isCurrent()) return;
    const isCount = status.textContent === counted; // and not what the search has found
    sprites.splice(0, sprites.length, ...next);
    grid.renew(inOrder());
    filter.tell();
    if (isCount) status.textContent = counted = countText();
    notice.replaceWith((notice = failureNotice(layer)));
  };

  const search = searchBox(sprites, grid, status, note);
  const filter = filterTool(sprites, way, change);
  let notice = failureNotice(layer);
  root.className = "wide";
  root.replaceChildren(
    make(
      "header",
      { class: "bar" },
      crumbs(homeLink(), make("h1", {}, ...layerTitle(layer))),
      make("div", { class: "standing small" }, make("p", { class: "quiet where" }, [depthWords(layer.name), layerFacts(layer)].filter(Boolean).join(" · ")), status),
      make("div", { class: "tools" }, search.node, ...sortTools(layer, sprites, way, change), filter.node, zoomTools(grid), gridShare(layer, grid)),
      layer.mixes ? "" : networkMap(30, layer.name),
    ),
    notice,
    grid.scroller,
  );
  document.body.append(grid.tip);
  document.title = `${layer.name} · ${site.model}`;
  apply(spriteAt(state.get("at")), spriteAt(state.get("from")));
  if (state.get("find")) {
    search.input.value = state.get("find");
    if (!state.get("at")) search.find(state.get("find"), { tell: false });
  }
  ready = true;
  if (!window.matchMedia("(hover: none)").matches) grid.focus(); // for the arrow keys, which phones lack
  return {
    close: grid.close,
    grow,
    keys: {
      Escape: () => (window.location.hash = "#/"),
      "/": () => search.input.focus(),
      "+": () => grid.zoom(1),
      "=": () => grid.zoom(1),
      "-": () => grid.zoom(-1),
    },
  };
};
