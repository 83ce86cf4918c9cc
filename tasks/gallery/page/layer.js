// The page of a layer: its grid, with tools to sort, filter, search and zoom.

const ways = new Map(); // the last settings of each layer's page

const wayOf = (layer) => {
  if (!ways.has(layer.name)) ways.set(layer.name, { sort: "channel", descending: false, filter: "all", sprite: null });
  return ways.get(layer.name);
};

const valueOf = (sprite, sort) => (sort === "channel" ? sprite.index : sprite.scores[sort]);

// Sprites without the score come last in both directions.
const sorted = (sprites, { sort, descending }) =>
  [...sprites].sort((one, other) => {
    const [left, right] = [valueOf(one, sort), valueOf(other, sort)];
    if (left === null || right === null) return (left === null) - (right === null) || one.index - other.index;
    return (descending ? right - left : left - right) || one.index - other.index;
  });

const passes = (sprite, filter) =>
  filter === "all" || (filter === "sound" ? !sprite.flags.length : filter === "flagged" ? sprite.flags.length > 0 : sprite.flags.includes(filter));

const showLayer = async (root, layer, isCurrent) => {
  const sprites = await loadSprites(layer);
  if (!isCurrent()) return null;
  const way = wayOf(layer);
  const grid = makeGrid(layer, (sprite) => {
    way.sprite = sprite;
  });
  const status = make("p", { class: "count quiet", role: "status" });

  // A new order starts at its beginning; the way back leads to the last active sprite.
  const apply = (wanted = null) => {
    const shown = sorted(sprites.filter((sprite) => passes(sprite, way.filter)), way);
    grid.show(shown, wanted);
    status.textContent = shown.length === sprites.length ? count(sprites.length, "sprite") : `${shown.length} of ${count(sprites.length, "sprite")}`;
  };

  const search = searchBox(sprites, grid, status);
  root.className = "wide";
  root.replaceChildren(
    make(
      "header",
      { class: "bar" },
      crumbs(homeLink(), make("h1", {}, ...layerTitle(layer))),
      make("div", { class: "tools" }, search, ...sortTools(sprites, way, apply), filterTool(sprites, way, apply), zoomTools(grid)),
      status,
    ),
    grid.scroller,
  );
  document.body.append(grid.tip);
  document.title = `${layer.name} · ${site.model}`;
  apply(way.sprite);
  if (!window.matchMedia("(hover: none)").matches) grid.focus(); // for the arrow keys, which phones lack
  return {
    close: grid.close,
    keys: {
      Escape: () => (window.location.hash = "#/"),
      "/": () => search.querySelector("input").focus(),
      "+": () => grid.zoom(1),
      "=": () => grid.zoom(1),
      "-": () => grid.zoom(-1),
    },
  };
};

const searchBox = (sprites, grid, status) => {
  const what = sprites.some((sprite) => sprite.label) ? "number or name" : "number";
  const find = (text, options) => {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return false;
    const place = /^\d+(\.\d+)?$/.test(wanted) ? grid.find((sprite) => sprite.unit === wanted) : grid.find((sprite) => sprite.label.toLowerCase().includes(wanted));
    if (place >= 0) grid.activate(place, { scroll: true, ...options });
    status.textContent = place >= 0 ? "" : `no match for ${wanted}`;
    return place >= 0;
  };
  const onKey = (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      event.target.value = "";
      status.textContent = "";
      grid.focus();
    } else if (event.key === "Enter" && find(event.target.value)) grid.open();
  };
  const input = make("input", { type: "search", "aria-label": `find a channel by ${what}`, placeholder: what, autocomplete: "off", spellcheck: "false", oninput: (event) => find(event.target.value), onkeydown: onKey });
  return make("label", { class: "tool" }, make("span", {}, "Find"), input);
};

const sortTools = (sprites, way, apply) => {
  const has = (score) => sprites.some((sprite) => sprite.scores[score] !== null);
  const direction = make("button", { type: "button", class: "icon" });
  const tell = () => {
    direction.textContent = way.descending ? "↓" : "↑";
    direction.setAttribute("aria-label", way.descending ? "descending; switch to ascending" : "ascending; switch to descending");
  };
  direction.addEventListener("click", () => {
    way.descending = !way.descending;
    tell();
    apply();
  });
  const options = ["channel", ...SORTED_BY].map((score) =>
    make("option", { value: score, selected: score === way.sort, disabled: score !== "channel" && !has(score) }, score === "channel" ? "channel" : SCORES[score][0]),
  );
  const onChange = (event) => {
    way.sort = event.target.value;
    way.descending = way.sort !== "channel"; // users look for the highest scores
    tell();
    apply();
  };
  tell();
  return [make("label", { class: "tool" }, make("span", {}, "Sort by"), make("select", { "aria-label": "sort by", onchange: onChange }, ...options)), direction];
};

const filterTool = (sprites, way, apply) => {
  const filters = { all: "all", sound: "no flags", flagged: "any flag", ...Object.fromEntries(Object.keys(FLAGS).map((flag) => [flag, plain(flag)])) };
  const options = Object.entries(filters).map(([filter, words]) => {
    const number = sprites.filter((sprite) => passes(sprite, filter)).length;
    return make("option", { value: filter, selected: filter === way.filter, disabled: filter !== "all" && !number }, `${words} (${number})`);
  });
  const onChange = (event) => {
    way.filter = event.target.value;
    apply();
  };
  return make("label", { class: "tool" }, make("span", {}, "Show"), make("select", { "aria-label": "show", onchange: onChange }, ...options));
};

const zoomTools = (grid) =>
  make(
    "div",
    { class: "zoom", role: "group", "aria-label": "zoom" },
    make("button", { type: "button", class: "icon", "aria-label": "smaller", title: "smaller (-)", onclick: () => grid.zoom(-1) }, "−"),
    make("button", { type: "button", class: "icon", "aria-label": "larger", title: "larger (+)", onclick: () => grid.zoom(1) }, "+"),
  );
