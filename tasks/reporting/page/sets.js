// The sets of images as tabs: by class, by label, by right and wrong predictions, and all images.

const MOST_CHIPS = 12;

const setNumber = (text) => (/^\d+$/.test(text || "") && Number(text) < site.sets.length ? Number(text) : firstSet);

const setParts = (set) => ({ label: ["labelled ", nameOf(set.title)], class: ["predicted as ", nameOf(set.title)], wrong: ["with wrong predictions"], right: ["with right predictions"] })[set.kind];

const setTitle = (set) => isolated(capital(set.title));

const setOption = (number, chosen, imagesIn) => make("option", { value: number, selected: number === chosen, disabled: !imagesIn(number) }, `${isolated(site.sets[number].title)} (${imagesIn(number).toLocaleString("en")})`);

const allImagesIn = (number) => site.sets[number].images;

// A menu of all sets, with a group for each tab.
const setMenu = (words, chosen, onChoose, imagesIn = allImagesIn) => {
  const tabs = [...new Set(setOrder.map((number) => KINDS[site.sets[number].kind]))];
  const grouped = tabs.map((tab) => make("optgroup", { label: tab }, ...setOrder.filter((number) => KINDS[site.sets[number].kind] === tab).map((number) => setOption(number, chosen, imagesIn))));
  return make("select", { "aria-label": words, onchange: (event) => onChoose(Number(event.target.value)) }, ...grouped);
};

const tabLabel = (tab) => (tab === KINDS.all && mixesQuestions(site.sets[0]) ? "All images (mixes questions)" : tab);

// Tabs, and under them the sets of the open tab. `hrefOf` returns the address of a set.
const setTabs = (chosen, hrefOf, onChoose, imagesIn = allImagesIn) => {
  const tabOf = (number) => KINDS[site.sets[number].kind];
  const tabs = [...new Set(setOrder.map(tabOf))];
  const members = (tab) => setOrder.filter((number) => tabOf(number) === tab);
  const open = tabOf(chosen);
  const tabLink = (tab) => make("a", { class: "tab", href: hrefOf(tab === open ? chosen : members(tab)[0]), "aria-current": tab === open ? "true" : null }, tabLabel(tab));
  const chip = (number) => make("a", { class: "chip", href: hrefOf(number), "aria-current": number === chosen ? "true" : null }, nameOf(site.sets[number].title), make("span", { class: "quiet" }, ` ${imagesIn(number).toLocaleString("en")}`));
  const shown = members(open);
  const picked = shown.length === 1 ? [] : shown.length <= MOST_CHIPS ? [make("div", { class: "chips" }, ...shown.map(chip))] : [make("select", { "aria-label": "set of images", onchange: (event) => onChoose(Number(event.target.value)) }, ...shown.map((number) => setOption(number, chosen, imagesIn)))];
  return make("nav", { class: "set-tabs", "aria-label": "sets of images" }, make("div", { class: "tabs" }, ...tabs.map(tabLink)), ...picked);
};

// Says that a mean answers no single question.
const mixedNote = (set) =>
  mixesQuestions(set)
    ? [make("p", { class: "note" }, "This mean mixes questions: each image is explained by its own classes. ", ...(set.kind === "all" && firstSet !== 0 ? [`The tab ${KINDS[site.sets[firstSet].kind]} asks one question at a time.`] : ["It shows which channels matter, rather than for which class."]))]
    : [];
