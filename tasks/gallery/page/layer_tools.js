// The tools of a layer's page: search, sort, filter, zoom, and what can be saved.

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

const searchBox = (sprites, grid, status, note) => {
  const what = sprites.some((sprite) => sprite.label) ? "number or name" : "number";
  const find = (text, options) => {
    const wanted = text.trim().toLowerCase();
    note({ find: wanted });
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
      note({ find: null });
      grid.focus();
    } else if (event.key === "Enter" && find(event.target.value)) grid.open();
  };
  const input = make("input", { type: "search", "aria-label": `find a channel by ${what}`, placeholder: what.split(" ").at(-1), autocomplete: "off", spellcheck: "false", oninput: (event) => find(event.target.value), onkeydown: onKey });
  return { node: make("label", { class: "tool" }, make("span", {}, "Find"), input), input, find };
};

const sortTools = (layer, sprites, way, apply) => {
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
    make("option", { value: score, selected: score === way.sort, disabled: score !== "channel" && !has(score) }, score === "channel" ? (layer.groups ? "group" : kindOf(layer)) : SCORES[score][0]),
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
  const options = Object.keys(filters).map((filter) => make("option", { value: filter, selected: filter === way.filter }));
  const tell = () => {
    for (const option of options) {
      const number = sprites.filter((sprite) => passes(sprite, option.value)).length;
      option.textContent = `${filters[option.value]} (${number.toLocaleString("en")})`;
      option.disabled = option.value !== "all" && !number;
    }
  };
  const onChange = (event) => {
    way.filter = event.target.value;
    apply();
  };
  tell();
  return { node: make("label", { class: "tool" }, make("span", {}, "Show"), make("select", { "aria-label": "show", onchange: onChange }, ...options)), tell };
};

const zoomTools = (grid) =>
  make(
    "div",
    { class: "zoom", role: "group", "aria-label": "zoom" },
    make("button", { type: "button", class: "icon", "aria-label": "smaller", title: "smaller (-)", onclick: () => grid.zoom(-1) }, "−"),
    make("button", { type: "button", class: "icon", "aria-label": "larger", title: "larger (+)", onclick: () => grid.zoom(1) }, "+"),
  );

const spriteRows = (sprites) => [
  ["channel", "variant", "label", ...Object.keys(SCORES).map(plain), "flags", "attempt"],
  ...sprites.map((sprite) => [sprite.channel, sprite.variant, sprite.label, ...Object.keys(SCORES).map((score) => sprite.scores[score]), sprite.flags.map(plain).join(" "), sprite.rung]),
];

const gridShare = (layer, grid) => shareTools({ png: () => grid.snapshot(), csv: () => spriteRows(grid.shown()), name: `${modelName} ${layer.name}` });
