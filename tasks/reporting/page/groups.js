// The neuron groups of a layer.

const SHOWN_CHANNELS = 6;
const SHOWN_CLASSES = 8;

const groupCard = (layer, numbers, group, most, mostOfClasses) => {
  const member = (channel, at) => {
    const known = knownOf(numbers, channel);
    return make("li", { title: `channel ${channel}, weight ${decimal(group.weights[at])}` }, spriteButton(layer, numbers, known), make("span", { class: "quiet" }, channel));
  };
  const classes = (hasValues ? [] : [...group.by_class]).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, SHOWN_CLASSES);
  const line = ([number, value]) => make("li", {}, make("span", { class: "class-name", title: className(number) }, nameOf(className(number))), valueBar(value, mostOfClasses, { centred: true }), signedNumber(value));
  return make(
    "article",
    { class: "group", tabindex: -1, "data-group": group.number + 1, "aria-label": `group ${group.number + 1}, attribution ${withUnit(group.attribution)}` },
    groupSpriteButton(layer, group),
    make(
      "div",
      { class: "group-facts" },
      make("h3", {}, `group ${group.number + 1}`, make("span", { class: "label" }, " ", nameOf(groupName(group)))),
      make("div", { class: "amount" }, valueBar(group.attribution, most, { centred: true }), signedNumber(group.attribution)),
      make("ul", { class: "members", "aria-label": "strongest channels" }, ...group.channels.slice(0, SHOWN_CHANNELS).map(member)),
    ),
    classes.length ? make("ul", { class: "by-class", "aria-label": "attribution by class" }, ...classes.map(line)) : "",
  );
};

const groupsSection = (layer, numbers, roomPx) => {
  if (!layer.groups.length) return [];
  const most = Math.max(...layer.groups.map((group) => Math.abs(group.attribution)));
  const mostOfClasses = Math.max(0, ...layer.groups.flatMap((group) => group.by_class.map(([, value]) => Math.abs(value))));
  const sorted = [...layer.groups].sort((one, other) => other.attribution - one.attribution);
  const variance = layer.explained_variance === null ? "" : ` Together, the groups explain ${percent(layer.explained_variance)} of the layer’s squared activations.`;
  const at = layerNumber.get(layer.name);
  const around = site.layers.slice(Math.max(0, at - 1), at + 2).filter((other) => other.groups.length);
  const list = make("div", { class: "group-list" }, ...sorted.map((group) => groupCard(layer, numbers, group, most, mostOfClasses)));
  return [
    make(
      "section",
      { class: "groups" },
      make("div", { class: "figure-head" }, make("h2", {}, "Neuron groups"), shareFigure(list, { name: `${layer.name} neuron groups`, csv: () => groupsTable(layer) })),
      make("p", { class: "quiet about" }, "A ", term("neuron group"), ` is a set of channels that respond to the same parts of images. The groups are fitted to up to 64 of the ${count(pageOf.size, "shown image")}. The attributions are means over all of them${UNIT_WORDS}; the mark in a bar is 0.${variance}`),
      list,
    ),
    ...flowSection("Connections to neighbouring layers", around, roomPx),
  ];
};

const groupsTable = (layer) => [
  ["group", "class", `attribution${UNIT_WORDS}`, "channels"],
  ...layer.groups.flatMap((group) => [[group.number + 1, "all shown images", group.attribution, group.channels.join(" ")], ...group.by_class.map(([number, value]) => [group.number + 1, className(number), value, ""])]),
];
