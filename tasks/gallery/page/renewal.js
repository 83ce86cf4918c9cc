// Brings a page up to date and leaves alone what has not changed: focus, scroll position, open menus and drawn pictures stay.

// All that an element shows, if it is left alone or replaced as a whole; null if its parts are compared.
const shownBy = (node) => {
  if (node.dataset.shows !== undefined) return node.dataset.shows;
  if (node.matches("button, input, .share")) return "";
  return node.matches(".command") ? node.querySelector("code").textContent : null;
};

// Whether a node may become another one. Items of lists have a `data-part`, which tells them apart.
const mayBecome = (old, fresh) =>
  old.nodeType === fresh.nodeType &&
  old.nodeName === fresh.nodeName &&
  (old.nodeType !== Node.ELEMENT_NODE || (old.dataset.part === fresh.dataset.part && (old.dataset.shows !== undefined || old.className === fresh.className || old instanceof SVGElement)));

// Returns the node that stands there now.
const renew = (old, fresh) => {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return old;
  }
  const wanted = shownBy(fresh);
  if (wanted !== null) {
    if (shownBy(old) === wanted) return old;
    const focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (focused) (fresh.matches("a, button") ? fresh : fresh.querySelector("a, button") || fresh).focus({ preventScroll: true });
    return fresh;
  }
  for (const { name, value } of fresh.attributes) if (!["style", "open"].includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  renewChildren(old, [...fresh.childNodes]);
  return old;
};

const isEmptyText = (node) => node === "" || (node.nodeType === Node.TEXT_NODE && !node.data);

// The last thing of the page that is left when a part with the focus is gone.
const keepFocus = (parent, gone) => {
  if (!gone.contains(document.activeElement)) return;
  const next = parent.closest("li, section, main");
  const goal = next && [...next.querySelectorAll("a, h1")].find((node) => !gone.contains(node));
  if (goal) goal.focus({ preventScroll: true });
};

// Gives an element the children `fresh`, in this order. Old children that may become one of them stay where they are.
const renewChildren = (parent, fresh) => {
  for (const child of [...parent.childNodes]) if (isEmptyText(child)) child.remove();
  let next = parent.firstChild;
  for (const child of fresh) {
    if (isEmptyText(child)) continue;
    let old = next;
    // Texts have no identity, so a text becomes the next node only.
    while (old && !mayBecome(old, child)) old = child.nodeType === Node.TEXT_NODE ? null : old.nextSibling;
    if (!old) {
      parent.insertBefore(child, next);
      continue;
    }
    while (next !== old) next = removed(parent, next);
    next = renew(old, child).nextSibling;
  }
  while (next) next = removed(parent, next);
};

const removed = (parent, node) => {
  const after = node.nextSibling;
  if (node.nodeType === Node.ELEMENT_NODE) keepFocus(parent, node);
  node.remove();
  return after;
};

// Changes the page; what has the focus, or is the first thing in the window, keeps its place on the screen.
const keepingPlace = (change) => {
  const inWindow = (node) => node.getBoundingClientRect().bottom > 0 && node.getBoundingClientRect().top < window.innerHeight;
  const focused = document.activeElement && document.activeElement.matches(":focus-visible") && inWindow(document.activeElement) ? document.activeElement : null;
  const kept = focused || [...document.querySelectorAll("#view [data-part], #view > *")].reverse().find((node) => inWindow(node) && node.getBoundingClientRect().top <= 0) || document.querySelector("#view > *");
  const before = kept ? kept.getBoundingClientRect().top : 0;
  change();
  if (kept && kept.isConnected) window.scrollBy({ top: kept.getBoundingClientRect().top - before, behavior: "instant" });
};

const renewPage = (root, fresh) => keepingPlace(() => renewChildren(root, fresh));

const showAgain = () => window.dispatchEvent(new Event("hashchange"));
