// Selects the page by the part of the address after #, so that every page in the file has a stable address.

let view = null;
let turn = 0;
const siteTitle = document.title;

const showMissing = (root, text, back) => {
  root.className = "page";
  root.replaceChildren(make("h1", { tabindex: -1 }, "Not found"), make("p", {}, text), make("p", {}, make("a", { href: back }, "Back")));
  document.title = siteTitle;
  return { close: () => {}, keys: { Escape: () => (window.location.hash = back) } };
};

// Breadcrumbs: links to the parent pages, then the name of the page.
const crumbs = (...places) => make("nav", { class: "crumbs", "aria-label": "breadcrumbs" }, ...places);

// Arrows to the previous and next page; each goal has a path and a title, or is missing.
const turns = (words, before, after) => {
  const turnTo = (goal, which, arrow) =>
    goal
      ? make("a", { class: "turn", href: goal.path, "aria-label": `${which}: ${goal.title}`, title: goal.title }, arrow)
      : make("span", { class: "turn", "aria-hidden": "true" }, arrow);
  return make("nav", { class: "turns", "aria-label": words }, turnTo(before, "previous", "←"), turnTo(after, "next", "→"));
};

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

// The part of the address behind ? is the view's state (state.js). It does not choose the page, but every view receives it as a Map.
// A view's `follow` returns true if the view can show the next address, or the next state, itself; otherwise a new view replaces it.
const startRoutes = (show) => {
  const route = async () => {
    const [, ...parts] = splitAddress(window.location.hash)[0].split("/").map(decoded);
    const root = document.getElementById("view");
    const mine = (turn += 1);
    const isCurrent = () => mine === turn;
    if (view && view.follow && view.follow(...parts)) return;
    if (view) view.close();
    view = null;
    window.scrollTo(0, 0);
    let next = null;
    try {
      next = await show(root, parts, isCurrent, viewState());
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
};
