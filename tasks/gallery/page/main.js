// The addresses of the gallery's pages: the first page, the search, a layer, a unit.

const known = (name) => site.network.find((layer) => layer.name === name);

// A layer of the model that has no sprites.
const showWithoutSprites = (root, layer) => {
  const failure = failureOf(layer);
  root.className = "page";
  root.replaceChildren(
    make("header", { class: "bar" }, crumbs(homeLink(), make("h1", { tabindex: -1 }, nameOf(layer.name)))),
    make("p", {}, `${layer.kind}, ${count(layer.channels, "channel")}, ${positionsOf(layer)}. None of its channels has a sprite yet.${failure ? "" : " To render them, run:"}`),
    failure ? failureDetails(failure, true) : make("p", {}, commandLine(channelsCommand(layer))),
    networkMap(64, layer.name),
  );
  document.title = `${layer.name} · ${site.model}`;
  return { close: () => {}, grow: () => (layerNamed.has(layer.name) ? showAgain() : undefined), keys: { Escape: () => (window.location.hash = "#/") } };
};

startRoutes((root, [page, name, unit], isCurrent) => {
  if (!page) return showLayers(root);
  if (page === "search") return showSearch(root, isCurrent);
  const layer = layerNamed.get(name);
  if (page === "layer" && !layer && known(name)) return showWithoutSprites(root, known(name));
  if (page !== "layer" || !layer) return showMissing(root, "The layer does not exist in this set, or has no spritemap.", "#/");
  return unit ? showUnit(root, layer, unit, isCurrent) : showLayer(root, layer, isCurrent);
});
