// The state of a view, such as its sort order, behind ? in the address: #/image/12/block_10?class=3&at=8,6

const ADDRESS_AFTER_MS = 200; // browsers limit how often a page may replace its address
let waitingState = null; // { hash, state }: the state that the address does not have yet
let addressTimer = 0;

// The path and the state of an address, both as text.
const splitAddress = (hash) => {
  const at = hash.indexOf("?");
  return at < 0 ? [hash, ""] : [hash.slice(0, at), hash.slice(at + 1)];
};

const changedState = (state, changes) => {
  const next = new Map(state);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") next.delete(key);
    else next.set(key, String(value));
  }
  return next;
};

const addressOf = (path, state) => {
  const text = new URLSearchParams([...state]).toString().replaceAll("%2C", ",");
  return text ? `${path || "#/"}?${text}` : path || "#/";
};

const writtenState = (hash) => new Map(new URLSearchParams(splitAddress(hash)[1]));

// The state of the shown view, as a Map of strings.
const viewState = () => (waitingState && waitingState.hash === window.location.hash ? new Map(waitingState.state) : writtenState(window.location.hash));

// Writes the state into the address at once.
const writeAddress = () => {
  clearTimeout(addressTimer);
  // After the user has opened another page, the state is obsolete.
  if (waitingState && waitingState.hash === window.location.hash) window.history.replaceState(null, "", addressOf(splitAddress(waitingState.hash)[0], waitingState.state));
  waitingState = null;
};

// Changes the state, and soon the address, without showing the page again. The value null removes a key.
const setViewState = (changes) => {
  waitingState = { hash: window.location.hash, state: changedState(viewState(), changes) };
  clearTimeout(addressTimer);
  addressTimer = setTimeout(writeAddress, ADDRESS_AFTER_MS);
};

// An address with state, such as withState("#/layer/head", { sort: "mean" }).
const withState = (path, changes) => addressOf(splitAddress(path)[0], changedState(writtenState(path), changes));
