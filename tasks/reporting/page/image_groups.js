// The neuron groups in one image: a list with the swatch of each contour, its value and its name.

// A group is named after the class that it supports most, or after its strongest channels.
const groupName = (group) => {
  const [number, value] = [...group.by_class].sort((one, other) => other[1] - one[1])[0] || [0, 0];
  return hasValues || value <= 0 ? `channels ${group.channels.slice(0, 3).join(", ")}` : className(number);
};

const imageGroups = (layer, details, chosen, isShown, onChoose) => {
  if (!details.groups.length) return "";
  const most = Math.max(...details.group_attribution.map(Math.abs), 0);
  const choose = (group) => () => {
    onChoose(isShown && chosen === group.number ? null : group.number);
    focusAgain(`.group-choice[data-number="${group.number}"]`);
  };
  const one = (group) => {
    const value = details.group_attribution[group.number];
    return make(
      "li",
      {},
      make(
        "button",
        { type: "button", class: "group-choice", "aria-pressed": String(isShown && chosen === group.number), "data-number": group.number, onclick: choose(group) },
        groupSprite(layer, group),
        make("span", { class: "group-choice-facts" }, make("span", { class: "group-choice-head" }, groupSwatch(group.number), `group ${group.number + 1}`, value === undefined ? "" : signedNumber(value)), make("span", { class: "quiet small" }, nameOf(groupName(group))), value === undefined ? "" : valueBar(value, most, { centred: true })),
      ),
    );
  };
  const words = isShown
    ? chosen === null
      ? ["Lines enclose the positions with at least half of a group’s highest activation. ", onScreen("Select a group to see it alone. ")]
      : [`Lines of 25, 50 and 75 % of the highest activation of group ${chosen + 1}. `, onScreen("Select it again to see all groups. ")]
    : [onScreen("Select a group to see where it is active. ")];
  return make("section", { class: "image-groups" }, make("h3", {}, term("neuron group", "Neuron groups"), " in this image"), make("p", { class: "quiet small" }, ...words, `The number is the group’s attribution${UNIT_WORDS}.`), make("ul", {}, ...layer.groups.map(one)));
};
