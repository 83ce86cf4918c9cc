// The first page: the model's layers in network order, then mixes.

const layerPath = (layer) => `#/layer/${encodeURIComponent(layer.name)}`;
const unitPath = (layer, sprite) => `${layerPath(layer)}/${sprite.unit}`;

const homeLink = () => make("a", { href: "#/", title: site.model }, nameOf(site.model.split("@")[0]));

const layerTitle = (layer) => (layer.mixes ? [`Mixes `, make("span", { class: "hash" }, layer.name.replace("mixes.", ""))] : [nameOf(layer.name)]);

const layerFacts = (layer) => {
  const what = layer.mixes ? "mix" : "channel";
  const size = layer.height === null ? [] : [`${layer.height} × ${layer.width} positions`];
  const all = layer.channels === null ? [] : [count(layer.channels, what, layer.mixes ? "mixes" : "channels")];
  return [...(layer.kind ? [layer.kind] : []), ...all, ...size].join(" · ");
};

const showLayers = (root) => {
  const sprites = site.layers.reduce((sum, layer) => sum + layer.sprites, 0);
  root.className = "page";
  root.replaceChildren(
    make(
      "header",
      { class: "masthead" },
      make("h1", { tabindex: -1 }, ...keyOf(site.model)),
      make("p", { class: "quiet" }, "recipe: ", ...keyOf(site.recipe), ` · ${count(site.layers.length, "layer")}, ${count(sprites, "sprite")}`),
    ),
    make("ol", { class: "layers", "aria-label": "layers, from input to output" }, ...site.layers.map(layerCard)),
  );
  if (!site.layers.length) root.append(make("p", {}, "No layer has a spritemap yet."));
  document.title = siteTitle;
  return { close: () => {}, keys: {} };
};

const layerCard = (layer) => {
  const flags = Object.entries(layer.flags).map(([flag, sprites]) => `${sprites} ${plain(flag)}`);
  const preview = make("img", { src: urlOf(layer.preview), alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.remove() });
  return make(
    "li",
    {},
    make(
      "a",
      { class: "layer", href: layerPath(layer) },
      make("span", { class: "layer-name" }, ...layerTitle(layer)),
      make("span", { class: "layer-facts quiet" }, layerFacts(layer)),
      make("span", { class: "layer-count" }, count(layer.sprites, "sprite"), flags.length ? make("span", { class: "quiet" }, ` · ${flags.join(", ")}`) : ""),
      make("span", { class: "preview" }, preview),
    ),
  );
};
