// Looks for new sprites while a run is at work, and hands them to the view that is open.

const LOOK_MS = 12_000;
const SPREAD_MS = 2_000; // so that many readers do not look at the same time
const MOST_FAILED_LOOKS = 5;
const MOST_IDLE_LOOKS = 150; // half an hour
const news = make("p", { class: "unseen", role: "status" });
const looks = { timer: 0, failed: 0, idle: 0, state: site.in_progress ? "on" : "off", shown: true };

// The data for open pages. The address differs each time, so no cache answers.
const loadData = () =>
  new Promise((resolve, reject) => {
    const src = `index.js?at=${Date.now()}`;
    const script = make("script", { src, onload: () => end(taken.get(`${src} sprites`)), onerror: () => end(null) });
    const end = (data) => {
      script.remove();
      taken.delete(`${src} sprites`);
      if (data) resolve(data);
      else reject(new Error("The data of the page could not be loaded again."));
    };
    document.head.append(script);
  });

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

const newsOf = (data, grown) => {
  const added = grown.map((layer) => [layer, layer.sprites - (layerNamed.has(layer.name) ? layerNamed.get(layer.name).sprites : 0)]).filter(([, sprites]) => sprites > 0);
  const sum = added.reduce((total, [, sprites]) => total + sprites, 0);
  const where = added.length === 1 ? added[0][0].name : count(added.length, "layer");
  const failed = data.failures.filter((failure) => !site.failures.some((known) => isSame(known, failure)));
  return [
    ...(sum ? [`${count(sum, "new sprite")} in ${where}.`] : []),
    ...failed.map((failure) => `${failure.layer}: ${failureWords(failure)}.`),
    ...(site.in_progress && !data.in_progress ? ["The run is over."] : []),
  ].join(" ");
};

// Layers stay the same objects, because open views hold them.
const adopt = (data, grown) => {
  for (const layer of grown) {
    spritesOf.delete(layer.name);
    layerNamed.set(layer.name, Object.assign(layerNamed.get(layer.name) || {}, layer));
  }
  for (const name of layerNamed.keys()) if (!data.layers.some((layer) => layer.name === name)) layerNamed.delete(name);
  Object.assign(site, data, { layers: data.layers.map((layer) => layerNamed.get(layer.name)) });
  indexed = null;
};

// Returns whether anything is new.
const takeNews = (data) => {
  const grown = data.layers.filter((layer) => !isSame(layer, layerNamed.get(layer.name)));
  const rest = Object.keys(data).filter((name) => name !== "layers" && !isSame(data[name], site[name]));
  if (!grown.length && !rest.length && data.layers.length === site.layers.length) return false;
  const words = newsOf(data, grown);
  adopt(data, grown);
  if (words) news.textContent = words;
  return true;
};

const showNews = async () => {
  looks.shown = view !== null; // a view that is still loading shows them after the next look
  if (view && view.grow) await view.grow();
};

const look = async () => {
  looks.timer = 0;
  if (document.visibilityState !== "visible") return; // until it is visible again
  try {
    const isNew = takeNews(await loadData());
    looks.failed = 0;
    looks.idle = isNew ? 0 : looks.idle + 1;
    if (isNew || !looks.shown) await showNews();
  } catch {
    looks.failed += 1;
  }
  await lookLater();
};

const lookLater = async () => {
  const over = !site.in_progress && looks.shown;
  const state = over ? "off" : looks.failed >= MOST_FAILED_LOOKS ? "failed" : looks.idle >= MOST_IDLE_LOOKS ? "idle" : "on";
  if (state === "on") looks.timer = setTimeout(look, LOOK_MS + SPREAD_MS * Math.random());
  if (state === looks.state) return;
  looks.state = state;
  await showNews();
};

const lookAgain = () => {
  Object.assign(looks, { failed: 0, idle: 0, state: "on" });
  showNews();
  look();
};

const STOPPED = { failed: "The page could not load new data, so it no longer looks for new sprites.", idle: "Nothing was new for half an hour, so the page no longer looks for new sprites." };

// What the first page says while sprites are missing that may come.
const workNote = () => {
  if (looks.state === "off") return "";
  if (looks.state === "on") return make("p", { class: "at-work quiet" }, "Not finished yet. While a run is at work, new sprites appear here by themselves.");
  return make("p", { class: "at-work quiet" }, `${STOPPED[looks.state]} `, make("button", { type: "button", onclick: lookAgain }, "Look again"));
};

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && looks.state === "on" && !looks.timer) look();
});
if (looks.state === "on") {
  document.body.append(news);
  lookLater();
}
