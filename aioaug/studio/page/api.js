// What the page asks the server for.

async function checked(answer) {
  if (answer.ok) return answer;
  let detail = `the server answered ${answer.status}`;
  try {
    detail = (await answer.json()).detail ?? detail;
  } catch {
    // It was no JSON: the number says enough.
  }
  throw new Error(detail);
}

const post = (path, query, signal) =>
  fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(query),
    signal,
  }).then(checked);

export const facts = async () => (await checked(await fetch("api/studio"))).json();

export const names = async (first) => (await checked(await fetch(`api/pictures/${first}`))).json();

export const upload = async (file) =>
  (await checked(await fetch("api/uploads", {
    method: "POST",
    headers: { "content-type": "application/octet-stream", "x-name": encodeURIComponent(file.name) },
    body: file,
  }))).json();

// Four bytes say how long the JSON is that follows; behind it are the files that it counts.
export async function show(query, signal) {
  const buffer = await (await post("api/show", query, signal)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let place = 4 + length;
  const files = facts.bytes.map((size) => {
    place += size;
    return new Blob([new Uint8Array(buffer, place - size, size)], { type: "image/png" });
  });
  return { facts, pictures: withFiles(facts.pictures, files) };
}

function withFiles(pictures, files) {
  let next = 0;
  return pictures.map((picture) => {
    const [file, ...maps] = files.slice(next, next + 1 + picture.maps);
    next += 1 + picture.maps;
    return { ...picture, file, maps };
  });
}

export const python = async (query) => (await (await post("api/python", query)).json()).source;

export const sheet = async (query) => (await post("api/sheet", query)).blob();
