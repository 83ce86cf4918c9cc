// The page of a layer: its strongest channels over a set of images, all channels as bars, and its neuron groups.

// The layers in network order; `hrefOf` keeps the other parts of the address.
const layerRail = (current, hrefOf) => {
  const links = site.layers.map((layer) => make("li", {}, make("a", { href: hrefOf(layer), "aria-current": layer === current ? "page" : null, "data-layer": layer.name, title: layer.name }, nameOf(layer.name))));
  return make("nav", { class: "rail", "aria-label": "layers, from input to output; press [ and ] to switch" }, make("ol", {}, ...links));
};

const showInRail = (rail, layer) => {
  const link = [...rail.querySelectorAll("a")].find((one) => one.dataset.layer === layer.name);
  rail.scrollLeft = link.offsetLeft - rail.clientWidth / 2 + link.offsetWidth / 2;
};

const bringIntoView = (node) => {
  node.scrollIntoView({ block: "center", behavior: window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  node.focus({ preventScroll: true });
};

const channelRows = (means) => [["channel", `mean attribution${UNIT_WORDS}`], ...means.map((mean, channel) => [channel, mean])];

const layerHead = (layer, chosen, goTo) => {
  const at = layerNumber.get(layer.name);
  const goal = (other) => other && { path: layerPath(other, chosen), title: other.name };
  const compared = suggestedPairs().find((pair) => pair.includes(chosen));
  const compare = compared || suggestedPairs()[0];
  return [
    make("header", { class: "bar" }, crumbs(homeLink(), make("h1", { tabindex: -1 }, nameOf(layer.name))), make("div", { class: "tools" }, ...(compare ? [make("a", { class: "chip", href: comparePath(layer, ...compare) }, "Compare two sets")] : []), copyLink(), turns("previous and next layer", goal(site.layers[at - 1]), goal(site.layers[at + 1])))),
    layerRail(layer, (other) => layerPath(other, chosen)),
    make("div", { class: "layer-facts" }, layerVerdict(layer), make("span", { class: "quiet" }, ...layerFacts(layer), ` · ${methodWords(methodOf(layer))}`)),
    ...(layer.checks.advice ? [make("p", { class: "small advice" }, layer.checks.advice)] : []),
    setTabs(chosen, (number) => layerPath(layer, number), goTo),
  ];
};

const showLayer = async (root, layer, wanted, isCurrent) => {
  const numbers = await loadLayerSets(layer);
  if (!isCurrent()) return null;
  let chosen = setNumber(wanted);
  let plot = null;
  const at = layerNumber.get(layer.name);
  const body = make("div", {});
  const head = make("div", {});
  const goTo = (number) => (window.location.hash = layerPath(layer, number));
  const go = (other) => () => other && (window.location.hash = layerPath(other, chosen));
  const [before, after] = [site.layers[at - 1], site.layers[at + 1]];

  const openChannel = (channel) => {
    setViewState({ channel, group: null });
    const card = body.querySelector(`[data-channel="${channel}"]`);
    if (card) return bringIntoView(card);
    const set = numbers.sets[chosen];
    const one = make("section", { class: "chosen" }, make("h2", {}, "Selected channel"), channelCard(layer, numbers, knownOf(numbers, channel), { value: set.mean[channel], most: Math.max(...set.mean.map(Math.abs)) }));
    body.querySelectorAll(".chosen").forEach((old) => old.remove());
    body.querySelector(".sides").before(one);
    return bringIntoView(one.querySelector(".channel"));
  };

  const tellOf = (channel) => {
    const known = numbers.byChannel.get(channel);
    return [
      ...(known && known.sprite !== null ? [withFlags(cellPictureNow(layer.sprites, known.sprite, PATCH_PX), flagsOf(known))] : []),
      make("strong", {}, `channel ${channel}`),
      ...(known && known.label ? [make("div", {}, nameOf(known.label))] : []),
      factLine("mean attribution", withUnit(numbers.sets[chosen].mean[channel])),
    ];
  };

  const fill = () => {
    if (plot) plot.close();
    const set = site.sets[chosen];
    const means = numbers.sets[chosen].mean;
    plot = makeDistribution(means, tellOf, openChannel);
    head.replaceChildren(...layerHead(layer, chosen, goTo));
    body.replaceChildren(
      make("p", { class: "lead" }, ...evidenceParts(), " in ", make("a", { href: listPath(1, chosen) }, count(set.images, "image")), ...(set.kind === "all" ? [] : [", ", ...setParts(set)]), "."),
      ...mixedNote(set),
      make("section", {}, make("div", { class: "figure-head" }, make("h2", {}, "All channels"), shareFigure(plot.node, { csv: () => channelRows(means), name: `${layer.name} ${set.title}` })), plot.node, make("p", { class: "quiet small" }, `Each bar is the mean attribution of one channel${UNIT_WORDS}, in descending order. `, onScreen("Point at a bar, or press Enter on it, to see the channel."))),
      channelColumns(layer, numbers, numbers.sets[chosen]),
      ...groupsSection(layer, numbers, roomOf(root)),
    );
    document.body.append(plot.tip);
    document.title = `${layer.name} · ${siteTitle}`;
    showInRail(head.querySelector(".rail"), layer);
  };

  // The channel or the group that the address names.
  const showNamed = () => {
    const [channel, group] = [whole(viewState().get("channel"), 0, layer.channels - 1), viewState().get("group")];
    const card = whole(group, 1, layer.groups.length) && body.querySelector(`[data-group="${group}"]`);
    if (channel !== null) openChannel(channel);
    else if (card) bringIntoView(card);
  };

  root.className = "page report";
  root.replaceChildren(head, body);
  fill();
  showNamed();
  return {
    close: () => plot.close(),
    follow: (page, name, next) => {
      if (page !== "layer" || name !== layer.name) return false;
      if (setNumber(next) !== chosen) {
        chosen = setNumber(next);
        fill();
      }
      showNamed();
      return true;
    },
    keys: { Escape: () => (window.location.hash = "#/"), ArrowLeft: go(before), ArrowRight: go(after), "[": go(before), "]": go(after) },
  };
};
