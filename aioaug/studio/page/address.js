// What is shown, as the fragment of the address, which never leaves this browser.

const NUMBERS = ["seed", "index", "picture", "side", "count", "number", "size"];
const FLAGS = ["shuffle", "batch", "marks"];

const coded = (text) =>
  btoa(String.fromCharCode(...new TextEncoder().encode(text))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const decoded = (text) =>
  new TextDecoder().decode(Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.codePointAt(0)));

export function toFragment(state, original) {
  const parts = new URLSearchParams({ pipeline: state.pipeline });
  for (const name of NUMBERS) if (state[name] !== null) parts.set(name, state[name]);
  if (state.upload) parts.set("upload", state.upload);
  for (const name of FLAGS) parts.set(name, state[name] ? 1 : 0);
  if (JSON.stringify(state.tree) !== JSON.stringify(original)) parts.set("tree", coded(JSON.stringify(state.tree)));
  return `#${parts}`;
}

// Only what has the right form is taken; the server checks all of it again.
export function fromFragment(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const found = {};
  if (parts.has("pipeline")) found.pipeline = parts.get("pipeline");
  for (const name of NUMBERS) if (/^\d{1,10}$/.test(parts.get(name) ?? "")) found[name] = Number(parts.get(name));
  if (/^[0-9a-f]{16}$/.test(parts.get("upload") ?? "")) found.upload = parts.get("upload");
  for (const name of FLAGS) if (parts.has(name)) found[name] = parts.get(name) === "1";
  try {
    if (parts.has("tree")) found.tree = JSON.parse(decoded(parts.get("tree")));
  } catch {
    // A link that was cut off: the pipeline as it was given is shown.
  }
  return found;
}
