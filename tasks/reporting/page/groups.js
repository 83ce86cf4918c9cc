// The neuron groups of a layer.

const SHOWN_CHANNELS = 6;
const SHOWN_CLASSES = 8;

const groupCard = (layer, numbers, group, most, mostOfClasses) => {
  const member = (channel, at) => {
    const known = knownOf(numbers, channel);
    return make("li", {}, spriteLink(layer, known, channelPicture(layer, numbers, known, cellPicture), `, weight ${decimal(group.weights[at])}`), make("span", { class: "quiet" }, channel));
  };
  const classes = (hasValues ? [] : [...group.by_class]).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, SHOWN_CLASSES);
  const line = ([number, value]) => make("li", {}, make("span", { class: "class-name", title: className(number) }, nameOf(className(number))), valueBar(value, mostOfClasses), make("b", { class: sideOf(value) }, signed(value)));
  return make(
    "article",
    { class: "group", "aria-label": `group ${group.number + 1}, attribution ${signed(group.attribution)}` },
    make("div", { class: "sprite" }, cellPicture(layer.group_sprites, group.sprite)),
    make(
      "div",
      { class: "group-facts" },
      make("h3", {}, `group ${group.number + 1}`),
      make("div", { class: "amount" }, valueBar(group.attribution, most), make("b", { class: sideOf(group.attribution) }, signed(group.attribution))),
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
  return [
    make("section", { class: "groups" }, make("h2", {}, "Neuron groups"), make("p", { class: "quiet about" }, `A neuron group is a set of channels that respond to the same parts of images. The groups are fitted to up to 64 of the ${count(pageOf.size, "shown image")}. The attributions are means over all of them.${variance}`), make("div", { class: "group-list" }, ...sorted.map((group) => groupCard(layer, numbers, group, most, mostOfClasses)))),
    ...(hasFlow(around) ? [make("section", {}, make("h2", {}, "Connections to neighbouring layers"), makeFlow(around, roomPx))] : []),
  ];
};
