// What is said of a sprite beside its cell, to the eye and to a screen reader.

const TOLD = ["objective", "specificity", "photo_ratio"];

const told = (sprite) => TOLD.filter((score) => sprite.scores[score] !== null).map((score) => [SCORES[score][0], decimal(sprite.scores[score])]);

const flagsOf = (sprite) => sprite.flags.map(plain).join(", ") || "no flags";

const spoken = (sprite) =>
  [sprite.title, ...(sprite.label ? [sprite.label] : []), ...told(sprite).map((fact) => fact.join(" ")), flagsOf(sprite)].join(", ");

const makeTip = () => {
  const node = make("div", { class: "tip", role: "tooltip", hidden: true });

  const show = (sprite, cell) => {
    node.replaceChildren(
      make("strong", {}, sprite.title),
      ...(sprite.label ? [make("div", {}, nameOf(sprite.label))] : []),
      ...told(sprite).map(([words, value]) => make("div", { class: "fact" }, make("span", {}, words), make("span", {}, value))),
      make("div", { class: sprite.flags.length ? "flagged" : "quiet" }, flagsOf(sprite)),
    );
    node.hidden = false;
    const around = cell.getBoundingClientRect();
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
