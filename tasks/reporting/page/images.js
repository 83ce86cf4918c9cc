// The list of the shown images.

const LISTED = 48;
let sought = ""; // kept when the user opens an image and returns

const verdict = (right) => (right === null ? "" : make("span", { class: right ? "right" : "wrong" }, right ? "right" : "wrong"));

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
        : make("span", { class: "image-seen", title: `predicted: ${className(image.predicted)}` }, nameOf(className(image.predicted)), verdict(image.right)),
      image.label === null ? "" : make("span", { class: "quiet" }, "label: ", nameOf(image.label)),
    ),
  );

const showImages = async (root, wantedPage, wantedSet, isCurrent) => {
  const list = await loadList();
  if (!isCurrent()) return null;
  let page = Number(wantedPage) || 1;
  let set = setNumber(wantedSet);
  const results = make("ul", { class: "image-list", "aria-label": "images" });
  const status = make("p", { class: "count quiet", role: "status" });
  const pager = make("nav", { class: "pager", "aria-label": "pages" });
  const picker = make("div", { class: "tools" });
  const input = make("input", { type: "search", "aria-label": "find an image by its name", placeholder: "name", autocomplete: "off", spellcheck: "false", value: sought });

  const show = () => {
    const wanted = sought.trim().toLowerCase();
    const found = list.images.filter((image) => image.sets.includes(set) && image.name.toLowerCase().includes(wanted));
    const pages = Math.max(1, Math.ceil(found.length / LISTED));
    page = Math.max(1, Math.min(pages, page));
    results.replaceChildren(...found.slice((page - 1) * LISTED, page * LISTED).map(imageCard));
    status.textContent = found.length === list.images.length ? count(found.length, "image") : `${found.length} of ${count(list.images.length, "image")}`;
    const goal = (number) => (number >= 1 && number <= pages ? { path: listPath(number, set), title: `page ${number}` } : null);
    pager.replaceChildren(...(pages > 1 ? [turns("previous and next page", goal(page - 1), goal(page + 1)), make("span", { class: "quiet" }, `page ${page} of ${pages}`)] : []));
  };

  const pick = () => picker.replaceChildren(make("label", { class: "tool" }, make("span", {}, "Find"), input), setPicker(set, (number) => (window.location.hash = listPath(1, number)), (number) => list.images.filter((image) => image.sets.includes(number)).length));

  input.addEventListener("input", () => {
    sought = input.value;
    page = 1;
    window.history.replaceState(null, "", listPath(1, set));
    show();
  });
  root.className = "page report";
  root.replaceChildren(
    make("header", { class: "bar" }, crumbs(homeLink(), make("h1", { tabindex: -1 }, "Images")), picker, status),
    ...(list.images.length < site.images ? [make("p", { class: "quiet" }, `The report shows ${count(list.images.length, "image")} of ${site.images.toLocaleString("en")}.`)] : []),
    results,
    pager,
  );
  pick();
  show();
  document.title = `Images · ${siteTitle}`;
  const turnPage = (by) => () => {
    const link = pager.querySelector(by < 0 ? ".turn:first-child" : ".turn:last-child");
    if (link && link.href) window.location.hash = link.getAttribute("href");
  };
  return {
    close: () => {},
    follow: (name, nextPage, nextSet) => {
      if (name !== "images") return false;
      page = Number(nextPage) || 1;
      if (setNumber(nextSet) !== set) {
        set = setNumber(nextSet);
        pick();
      }
      show();
      window.scrollTo(0, 0);
      return true;
    },
    keys: { Escape: () => (window.location.hash = "#/"), "/": () => input.focus(), ArrowLeft: turnPage(-1), ArrowRight: turnPage(1) },
  };
};
