// Which page is shown: the part of the address behind #, so that one file has a stable address for every unit.

let view = null;
let turn = 0;

const showMissing = (root, text, back) => {
  root.className = "page";
  root.replaceChildren(make("h1", { tabindex: -1 }, "Not here"), make("p", {}, text), make("p", {}, make("a", { href: back }, "Back")));
  document.title = site.model;
  return { close: () => {}, keys: { Escape: () => (window.location.hash = back) } };
};

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const route = async () => {
  const [, page, name, unit] = window.location.hash.split("/").map(decoded);
  const root = document.getElementById("view");
  const mine = (turn += 1);
  const isCurrent = () => mine === turn;
  if (view) view.close();
  view = null;
  window.scrollTo(0, 0);
  const layer = layerNamed.get(name);
  let next = null;
  try {
    if (!page) showLayers(root);
    else if (page !== "layer" || !layer) next = showMissing(root, "This set has no such layer, or no spritemap of it.", "#/");
    else if (unit) next = await showUnit(root, layer, unit, isCurrent);
    else next = await showLayer(root, layer, isCurrent);
  } catch (error) {
    if (isCurrent()) next = showMissing(root, error.message, "#/");
  }
  if (isCurrent()) view = next;
  else if (next) next.close();
};

window.addEventListener("hashchange", route);
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key !== "Escape" && event.target.closest("input, select, textarea")) return;
  const act = view && view.keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
route();
