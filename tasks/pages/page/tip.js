// A tip beside a small element.

const factLine = (words, value) => make("div", { class: "fact" }, make("span", {}, words), make("span", {}, value));

const makeTip = () => {
  const node = make("div", { class: "tip", role: "tooltip", hidden: true });

  const show = (lines, around) => {
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
