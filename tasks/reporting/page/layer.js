// The page of a layer: its strongest channels over a set of images, all channels as bars, and its neuron groups.

const setPicker = (chosen, onChoose, imagesIn = (number) => site.sets[number].images) => {
  const option = (set, number) => make("option", { value: number, selected: number === chosen, disabled: !imagesIn(number) }, `${isolated(set.title)} (${imagesIn(number).toLocaleString("en")})`);
  const grouped = Object.entries(KINDS).map(([kind, words]) => {
    const options = site.sets.flatMap((set, number) => (set.kind === kind ? [option(set, number)] : []));
    return options.length ? [make("optgroup", { label: words }, ...options)] : [];
  });
  const all = site.sets.flatMap((set, number) => (set.kind === "all" ? [option(set, number)] : []));
  return make("label", { class: "tool" }, make("span", {}, "Images"), make("select", { "aria-label": "set of images", onchange: (event) => onChoose(Number(event.target.value)) }, ...all, ...grouped.flat()));
};

// The layers in network order; `hrefOf` keeps the other parts of the address.
const layerRail = (current, hrefOf, pictureOf = () => "") => {
  const links = site.layers.map((layer) => make("li", {}, make("a", { href: hrefOf(layer), "aria-current": layer === current ? "page" : null, "data-layer": layer.name, title: layer.name }, pictureOf(layer), nameOf(layer.name))));
  return make("nav", { class: "rail", "aria-label": "layers, from input to output; press [ and ] to switch" }, make("ol", {}, ...links));
};

const showInRail = (rail, layer) => {
  for (const link of rail.querySelectorAll("a")) {
    const here = link.dataset.layer === layer.name;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here) rail.scrollLeft = link.offsetLeft - rail.clientWidth / 2 + link.offsetWidth / 2;
  }
};

const setParts = (set) => ({ label: ["labelled ", nameOf(set.title)], class: ["predicted as ", nameOf(set.title)], wrong: ["with wrong predictions"] })[set.kind];

const setNumber = (text) => {
  const number = /^\d+$/.test(text || "") ? Number(text) : 0;
  return number < site.sets.length ? number : 0;
};

const showLayer = async (root, layer, wanted, isCurrent) => {
  const numbers = await loadLayer(layer);
  if (!isCurrent()) return null;
  let chosen = setNumber(wanted);
  let plot = null;
  const at = layerNumber.get(layer.name);
  const body = make("div", {});
  const head = make("div", {});
  const rail = layerRail(layer, (other) => layerPath(other, chosen));
  const go = (other) => () => other && (window.location.hash = layerPath(other, chosen));
  const [before, after] = [site.layers[at - 1], site.layers[at + 1]];

  const openChannel = (channel) => {
    const card = body.querySelector(`[data-channel="${channel}"]`);
    const known = numbers.byChannel.get(channel);
    if (card) {
      card.scrollIntoView({ block: "center", behavior: window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
      card.focus({ preventScroll: true });
    } else if (known) {
      const set = numbers.sets[chosen];
      const one = make("section", { class: "chosen" }, make("h2", {}, "Selected channel"), channelCard(layer, numbers, known, { value: set.mean[channel], most: Math.max(...set.mean.map(Math.abs)) }));
      body.querySelectorAll(".chosen").forEach((old) => old.remove());
      body.querySelector(".sides").before(one);
      one.querySelector(".channel").focus({ preventScroll: true });
    } else window.location.href = galleryPath(layer, channel);
  };

  const tellOf = (channel) => {
    const known = numbers.byChannel.get(channel);
    return [
      ...(known && known.sprite !== null ? [cellPictureNow(layer.sprites, known.sprite, PATCH_PX)] : []),
      make("strong", {}, `channel ${channel}`),
      ...(known && known.label ? [make("div", {}, nameOf(known.label))] : []),
      factLine("mean attribution", signed(numbers.sets[chosen].mean[channel])),
    ];
  };

  const show = () => {
    if (plot) plot.close();
    const set = site.sets[chosen];
    const goal = (other) => other && { path: layerPath(other, chosen), title: other.name };
    plot = makeDistribution(numbers.sets[chosen].mean, tellOf, openChannel);
    head.replaceChildren(
      make("header", { class: "bar" }, crumbs(homeLink(), make("h1", { tabindex: -1 }, nameOf(layer.name))), make("div", { class: "tools" }, setPicker(chosen, (number) => (window.location.hash = layerPath(layer, number))), turns("previous and next layer", goal(before), goal(after)))),
    );
    for (const link of rail.querySelectorAll("a")) link.setAttribute("href", layerPath(site.layers[layerNumber.get(link.dataset.layer)], chosen));
    body.replaceChildren(
      make("p", { class: "quiet" }, layerFacts(layer)),
      make("p", { class: "lead" }, ...evidenceParts(), " in ", make("a", { href: listPath(1, chosen) }, count(set.images, "image")), ...(set.kind === "all" ? [] : [", ", ...setParts(set)]), "."),
      make("section", {}, make("h2", {}, "All channels"), plot.node, make("p", { class: "quiet small" }, "Each bar is the mean attribution of one channel, in descending order.")),
      channelColumns(layer, numbers, numbers.sets[chosen]),
      ...groupsSection(layer, numbers, roomOf(root)),
    );
    document.body.append(plot.tip);
    document.title = `${layer.name} · ${siteTitle}`;
  };

  root.className = "page report";
  root.replaceChildren(head, rail, body);
  show();
  showInRail(rail, layer);
  return {
    close: () => plot.close(),
    follow: (page, name, next) => {
      if (page !== "layer" || name !== layer.name) return false;
      chosen = setNumber(next);
      show();
      return true;
    },
    keys: { Escape: () => (window.location.hash = "#/"), ArrowLeft: go(before), ArrowRight: go(after), "[": go(before), "]": go(after) },
  };
};
