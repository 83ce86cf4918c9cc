// The search over all layers: by words, names of classes, names of layers, and channel numbers.

const MOST_IN_LAYER = 48;
const MOST_EXAMPLES = 12;
const TYPED_MS = 150;
const SD_WORDS = "SD: the mean activation for the class, in standard deviations above the channel's mean over the images of a report.";
let indexed = null;

const entriesOf = (layer, words) =>
  words.channels.map((channel, place) => ({
    layer,
    channel,
    unit: words.variants[place] ? `${channel}.${words.variants[place]}` : `${channel}`,
    sheet: layer.spritemaps[words.spritemaps[place]],
    cell: words.cells[place],
    label: words.labels[place] || "",
    said: [...new Set((words.words[place] || []).map(saying).filter(Boolean))],
    classes: words.classes[place] || [],
    failed: words.flagged.includes(place),
  }));

// Without an index, as in galleries of earlier versions and in layers in progress, numbers and labels are known.
const fromNumbers = async (layer) => {
  const numbers = await numbersOf(layer);
  const flagged = numbers.flags.flatMap((flags, place) => (flags.length ? [place] : []));
  return entriesOf(layer, { ...numbers, flagged, words: {}, classes: {} });
};

const loadIndex = () => {
  indexed = indexed || readIndex().catch((error) => {
    indexed = null;
    throw error;
  });
  return indexed;
};

const readIndex = async () => {
  const words = site.words ? (await loadNumbers("words", site.words, "The words of this set could not be loaded.")).layers : [];
  const known = new Map(words.map((layer) => [layer.layer, layer]));
  const found = await Promise.all(site.layers.map((layer) => (known.has(layer.name) ? entriesOf(layer, known.get(layer.name)) : fromNumbers(layer))));
  return found.map((entries) => entries.map((entry) => ({ ...entry, text: [entry.layer.name, entry.label, ...entry.said, ...entry.classes.map(([name]) => name)].join("\n").toLowerCase() })));
};

// Every word must match: a number the channel, and other words some of the text.
const matches = (entry, wanted) => wanted.every((word) => (/^\d+(\.\d+)?$/.test(word) ? entry.unit === word || `${entry.channel}` === word : entry.text.includes(word)));

const searchForm = (text, onInput = null) => {
  const input = make("input", { type: "search", value: text, "aria-label": "search all layers", placeholder: "class or layer", autocomplete: "off", spellcheck: "false", oninput: onInput });
  const onSubmit = (event) => {
    event.preventDefault();
    if (!onInput) window.location.hash = withState("#/search", { words: input.value.trim() });
  };
  return make("form", { class: "search", role: "search", onsubmit: onSubmit }, make("label", { class: "tool" }, make("span", {}, "Search"), input), onInput ? "" : make("button", {}, "Search all layers"));
};

const showSearch = async (root, isCurrent) => {
  const results = make("div", { class: "results", "aria-busy": "true" });
  const status = make("p", { class: "quiet", role: "status" });
  const failed = make("input", { type: "checkbox", "aria-label": "only failed sprites", checked: viewState().get("show") === "failed", onchange: (event) => change({ show: event.target.checked ? "failed" : null }) });
  let waiting = 0;
  const change = (changes) => {
    setViewState(changes);
    clearTimeout(waiting);
    waiting = setTimeout(apply, TYPED_MS);
  };
  const form = searchForm(viewState().get("words") || "", (event) => change({ words: event.target.value.trim() }));
  const input = form.querySelector("input");
  root.className = "page search-page";
  root.replaceChildren(
    make("header", { class: "bar" }, crumbs(homeLink(), make("h1", {}, "Search")), make("div", { class: "tools" }, copyLink())),
    make("div", { class: "bar home-tools" }, form, make("label", { class: "tool check" }, failed, make("span", {}, "only failed sprites"))),
    status,
    results,
  );
  document.title = `search · ${site.model}`;
  input.focus({ preventScroll: true });
  let index = await loadIndex();
  if (!isCurrent()) return null;
  const apply = () => {
    const state = viewState();
    const wanted = (state.get("words") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const only = state.get("show") === "failed";
    const found = wanted.length || only ? index.map((entries) => entries.filter((entry) => (!only || entry.failed) && matches(entry, wanted))).filter((entries) => entries.length).map((entries) => [...entries].sort((one, other) => classHit(other, wanted) - classHit(one, wanted))) : [];
    const sum = found.reduce((total, entries) => total + entries.length, 0);
    status.textContent = !wanted.length && !only ? "Search for classes and labels, names of layers, and channel numbers." : sum ? `${count(sum, "sprite")} in ${count(found.length, "layer")}.${found.flat().some((entry) => classHit(entry, wanted)) ? ` ${SD_WORDS}` : ""}` : "No sprite matches.";
    renewPage(results, [only ? failedHelp() : "", sum || only ? "" : searchExamples(index), ...found.map((entries) => layerResults(entries, wanted))]);
    results.setAttribute("aria-busy", "false");
  };
  apply();
  const follow = (page) => {
    if (page !== "search") return false;
    input.value = viewState().get("words") || "";
    failed.checked = viewState().get("show") === "failed";
    apply();
    return true;
  };
  const grow = async () => {
    index = await loadIndex();
    if (isCurrent()) apply();
  };
  return { close: () => clearTimeout(waiting), follow, grow, keys: { Escape: () => (window.location.hash = "#/"), "/": () => input.focus() } };
};

// Words that find something: the classes and labels of most sprites, and the layers.
const searchExamples = (index) => {
  const numbers = new Map();
  for (const entry of index.flat()) for (const name of [...entry.classes.map(([name]) => name), ...(entry.label && !entry.layer.mixes ? [entry.label] : [])]) numbers.set(name, (numbers.get(name) || 0) + 1);
  const names = [...numbers].sort(([, one], [, other]) => other - one).slice(0, MOST_EXAMPLES).map(([name]) => name);
  const layers = site.layers.filter((layer) => !layer.mixes).slice(0, MOST_EXAMPLES).map((layer) => layer.name);
  const list = (title, words) => (words.length ? make("div", {}, make("dt", {}, title), make("dd", {}, ...words.flatMap((word, place) => [place ? ", " : "", make("a", { href: withState("#/search", { words: word }) }, nameOf(word))]))) : "");
  return make("dl", { class: "about-list examples", "data-shows": "examples" }, list("classes", names), list("layers", layers));
};

// What the flags of this set mean, and what helps.
const failedHelp = () => {
  const flags = Object.keys(FLAGS).filter((flag) => site.layers.some((layer) => layer.flags[flag]));
  const tried = site.layers.filter((layer) => layer.flagged && !layer.mixes).map((layer) => layer.name);
  const command = ["diamond-cutter", "tune", modelName, "--layers", ...tried].map((word) => quoted(String(word))).join(" ");
  return make(
    "section",
    { class: "failed-help first", "data-part": "help" },
    make("ul", { class: "flags" }, ...flags.map((flag) => make("li", {}, make("strong", {}, plain(flag)), `: ${FLAGS[flag]}.${flag === "dead" ? ` ${FLAGS_HELP.dead}` : ""}`))),
    tried.length ? make("p", {}, "To search for better settings of these layers, run: ", commandLine(command)) : "",
  );
};

const layerResults = (entries, wanted) => {
  const [{ layer }] = entries;
  const rest = entries.length - MOST_IN_LAYER;
  return make(
    "section",
    { class: "result", "data-part": layer.name },
    make("h2", {}, make("a", { href: layerPath(layer) }, ...layerTitle(layer)), make("span", { class: "quiet small" }, ` ${count(entries.length, "sprite")}`)),
    make("ul", { class: "tiles" }, ...entries.slice(0, MOST_IN_LAYER).map((entry) => resultTile(entry, wanted))),
    rest > 0 ? make("p", { class: "quiet small" }, `${rest.toLocaleString("en")} more are in `, make("a", { href: layerPath(layer) }, "the layer"), ".") : "",
  );
};

const hits = (text, wanted) => wanted.some((word) => text.toLowerCase().includes(word));

// How far a class that is looked for stands out; 0 if no such class does.
const classHit = (entry, wanted) => Math.max(0, ...entry.classes.filter(([name]) => hits(name, wanted)).map(([, above]) => above));

// The line that matches, or the first one.
const reasonOf = (entry, wanted) => {
  const lines = [entry.label, ...entry.classes.map(([name, above]) => `${name}: ${signed(above)} SD`), ...entry.said].filter(Boolean);
  return lines.find((line) => hits(line, wanted)) || lines[0] || "";
};

const resultTile = (entry, wanted) => {
  const reason = reasonOf(entry, wanted);
  const what = `${entry.layer.mixes ? "mix" : "channel"} ${entry.unit}`;
  const canvas = spriteCanvas(entry.sheet, entry.cell, 112, { "aria-hidden": "true" });
  return make(
    "li",
    { "data-part": entry.unit },
    make("a", { href: `${layerPath(entry.layer)}/${entry.unit}`, "aria-label": [what, reason, entry.failed ? "failed" : ""].filter(Boolean).join(", "), title: reason || what }, withFailed(canvas, entry.failed), make("span", { class: "tile-title" }, what), reason ? make("span", { class: "quiet small" }, nameOf(reason)) : ""),
  );
};

const withFailed = (canvas, failed) => (failed ? make("span", { class: "badged" }, canvas, make("span", { class: "flag-badge", "aria-hidden": "true" }, "!")) : canvas);
