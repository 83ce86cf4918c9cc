// A tip beside a small element.

const factLine = (words, value) => make("div", { class: "fact" }, make("span", {}, words), make("span", {}, value));

const makeTip = () => {
  const node = make("div", { class: "tip", role: "tooltip", hidden: true });

  const show = (lines, around) => {
    if (!node.isConnected) document.body.append(node);
    node.replaceChildren(...lines);
    node.hidden = false;
    const box = node.getBoundingClientRect();
    const left = Math.max(8, Math.min(around.left + around.width / 2 - box.width / 2, window.innerWidth - box.width - 8));
    const below = around.bottom + 8 + box.height < window.innerHeight;
    node.style.left = `${left}px`;
    node.style.top = `${below ? around.bottom + 8 : Math.max(8, around.top - box.height - 8)}px`;
  };

  const hide = () => {
    node.hidden = true;
  };

  return { node, show, hide };
};

// One tip for all small elements; it is hidden when the pointer leaves, or another page opens.
const pictureTip = makeTip();
window.addEventListener("hashchange", pictureTip.hide);
window.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Escape" || pictureTip.node.hidden) return;
    pictureTip.hide();
    event.preventDefault(); // Escape closes the tip only
  },
  { capture: true },
);

// Shows lines beside an element while the pointer or the keyboard's focus is on it.
const withTip = (node, linesOf) => {
  const show = () => pictureTip.show(linesOf(), node.getBoundingClientRect());
  node.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && show());
  node.addEventListener("pointerleave", pictureTip.hide);
  node.addEventListener("focus", () => node.matches(":focus-visible") && show());
  node.addEventListener("blur", pictureTip.hide);
  return node;
};
