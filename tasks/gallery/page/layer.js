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
  const status = make("p", { class: "count quiet", role: "status" });

  // A new order starts at its beginning; a link or the way back leads to the last active sprite.
  const apply = (wanted = null, first = null) => {
    const shown = sorted(sprites.filter((sprite) => passes(sprite, way.filter)), way);
    grid.show(shown, wanted, first);
    status.textContent = `${layer.inline ? "in progress: " : ""}${shown.length === sprites.length ? count(sprites.length, "sprite") : `${shown.length} of ${count(sprites.length, "sprite")}`}`;
  };
  const change = () => {
    apply();
    note(stateOf(way));
  };

  const search = searchBox(sprites, grid, status, note);
  root.className = "wide";
  root.replaceChildren(
    make(
      "header",
      { class: "bar" },
      crumbs(homeLink(), make("h1", {}, ...layerTitle(layer))),
      make("p", { class: "quiet small where" }, [depthWords(layer.name), layerFacts(layer)].filter(Boolean).join(" · ")),
      make("div", { class: "tools" }, search.node, ...sortTools(sprites, way, change), filterTool(sprites, way, change), zoomTools(grid), gridShare(layer, grid)),
      status,
      layer.mixes ? "" : networkMap(30, layer.name),
    ),
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
    keys: {
      Escape: () => (window.location.hash = "#/"),
      "/": () => search.input.focus(),
      "+": () => grid.zoom(1),
      "=": () => grid.zoom(1),
      "-": () => grid.zoom(-1),
    },
  };
};
