// The list of the shown images.

const LISTED = 48;
const SORTS = {
  name: ["name", (one, other) => one.number - other.number],
  predicted: ["predicted class", (one, other) => className(one.predicted).localeCompare(className(other.predicted), "en")],
  wrong: ["wrong first", (one, other) => (one.right === false ? 0 : 1) - (other.right === false ? 0 : 1)],
  value: ["value", (one, other) => other.value - one.value],
};

const sortsOffered = () => (hasValues ? ["name", "value"] : site.accuracy ? ["name", "predicted", "wrong"] : ["name", "predicted"]);

const rightness = (right) => (right === null ? "" : make("span", { class: right ? "right" : "wrong" }, right ? "✓ right" : "✗ wrong"));

const imageCard = (image) =>
  make(
    "li",
    {},
    make(
      "a",
      { class: "image-card", href: imagePath(image.number) },
      photo(image.file),
      make("span", { class: "image-name", title: image.name }, nameOf(image.name)),
      hasValues
        ? make("span", { class: "image-seen" }, "value: ", decimal(image.value))
        : make("span", { class: "image-seen", title: `predicted: ${className(image.predicted)}` }, nameOf(className(image.predicted)), rightness(image.right)),
      image.label === null ? "" : make("span", { class: "quiet" }, "label: ", nameOf(image.label)),
    ),
  );

const listedTable = (images) => [
  ["image", "label", hasValues ? "value" : "predicted class", "right"],
  ...images.map((image) => [image.name, image.label, hasValues ? image.value : className(image.predicted), image.right]),
];

// The address of the last list, for the way back from an image.
let lastList = listPath();

const showImages = async (root, wantedPage, wantedSet, isCurrent) => {
  const list = await loadList();
  if (!isCurrent()) return null;
  const setOf = (text) => (text === undefined ? 0 : setNumber(text));
  let [page, set, sought, sort] = [1, 0, "", "name"];
  let found = [];
  const results = make("ul", { class: "image-list", "aria-label": "images" });
  const status = make("p", { class: "count quiet", role: "status" });
  const pager = make("nav", { class: "pager", "aria-label": "pages" });
  const tabs = make("div", {});
  const input = make("input", { type: "search", "aria-label": "find an image by its name", placeholder: "name", autocomplete: "off", spellcheck: "false" });
  const order = make("select", { "aria-label": "order of images" }, ...sortsOffered().map((key) => make("option", { value: key }, SORTS[key][0])));
  const pathTo = (number, other = set) => withState(listPath(number, other), { q: sought, sort: sort === "name" ? null : sort });
  const sizes = site.sets.map((_, number) => list.images.filter((image) => image.sets.includes(number)).length);

  const fill = () => {
    const wanted = sought.trim().toLowerCase();
    found = list.images.filter((image) => image.sets.includes(set) && image.name.toLowerCase().includes(wanted)).sort(SORTS[sort][1]);
    const pages = Math.max(1, Math.ceil(found.length / LISTED));
    page = Math.max(1, Math.min(pages, page));
    results.replaceChildren(...found.slice((page - 1) * LISTED, page * LISTED).map(imageCard));
    status.textContent = found.length === list.images.length ? count(found.length, "image") : `${found.length.toLocaleString("en")} of ${count(list.images.length, "image")}`;
    const goal = (number) => (number >= 1 && number <= pages ? { path: pathTo(number), title: `page ${number}` } : null);
    pager.replaceChildren(...(pages > 1 ? [turns("previous and next page", goal(page - 1), goal(page + 1)), make("span", { class: "quiet" }, `page ${page} of ${pages}`)] : []));
    tabs.replaceChildren(setTabs(set, (number) => pathTo(1, number), (number) => (window.location.hash = pathTo(1, number)), (number) => sizes[number]));
    lastList = pathTo(page);
  };

  const read = (nextPage, nextSet) => {
    const state = viewState();
    [page, set] = [Number(nextPage) || 1, setOf(nextSet)];
    sought = state.get("q") || "";
    sort = oneOf(state.get("sort"), sortsOffered(), "name");
    if (input.value !== sought) input.value = sought;
    order.value = sort;
    fill();
  };

  const change = (key, value) => {
    if (key === "q") sought = value;
    else sort = value;
    page = 1;
    window.history.replaceState(null, "", pathTo(1));
    fill();
  };
  input.addEventListener("input", () => change("q", input.value));
  order.addEventListener("change", () => change("sort", order.value));
  root.className = "page report";
  root.replaceChildren(
    make("header", { class: "bar" }, crumbs(homeLink(), make("h1", { tabindex: -1 }, "Images")), make("div", { class: "tools" }, make("label", { class: "tool" }, make("span", {}, "Find"), input), make("label", { class: "tool" }, make("span", {}, "Order"), order), copyLink(), shareTools({ csv: () => listedTable(found), name: "images" }))),
    tabs,
    status,
    ...(list.images.length < site.images ? [make("p", { class: "quiet" }, `The report shows ${count(list.images.length, "image")} of ${site.images.toLocaleString("en")}.`)] : []),
    results,
    pager,
  );
  read(wantedPage, wantedSet);
  document.title = `Images · ${siteTitle}`;
  const turnPage = (by) => () => {
    const link = pager.querySelector(by < 0 ? ".turn:first-child" : ".turn:last-child");
    if (link && link.href) window.location.hash = link.getAttribute("href");
  };
  return {
    close: () => {},
    follow: (name, nextPage, nextSet) => {
      if (name !== "images") return false;
      read(nextPage, nextSet);
      window.scrollTo(0, 0);
      return true;
    },
    keys: { Escape: () => (window.location.hash = "#/"), "/": () => input.focus(), ArrowLeft: turnPage(-1), ArrowRight: turnPage(1) },
  };
};
