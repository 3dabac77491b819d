// A small explorer of the API: lists the operations of openapi3.json with their schemas, and tries requests.
// Everything from the contract is set as text, never as markup.

const methods = ["get", "post", "put", "delete"];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// resolve follows "#/components/…" references.
function resolve(contract, node) {
  while (node && node.$ref) {
    node = node.$ref.slice(2).split("/").reduce((at, key) => at[key], contract);
  }
  return node ?? {};
}

// sketch writes a schema as a readable example: names, types, and a * on what is required.
function sketch(contract, schema, depth = 0) {
  const s = resolve(contract, schema);
  const pad = "  ".repeat(depth + 1);
  if (s.allOf) return s.allOf.map((part) => sketch(contract, part, depth)).join(" & ");
  if (s.enum) return s.enum.join(" | ");
  if (s.type === "array") return `[ ${sketch(contract, s.items, depth)} ]`;
  if (s.properties && depth < 4) {
    const members = Object.entries(s.properties).map(([name, member]) => {
      const star = (s.required ?? []).includes(name) ? "*" : "";
      const about = resolve(contract, member).description;
      return `${pad}${name}${star}: ${sketch(contract, member, depth + 1)}${about ? `   // ${about}` : ""}`;
    });
    return `{\n${members.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  return [s.type ?? "any", s.format].filter(Boolean).join(" ");
}

function content(contract, holder) {
  return Object.entries(resolve(contract, holder).content ?? {});
}

function describe(contract, operation, parameters) {
  const parts = [];
  if (operation.description) parts.push(element("p", { textContent: operation.description }));
  for (const [type, media] of content(contract, operation.requestBody)) {
    parts.push(element("p", { textContent: `Body, ${type}` }), element("pre", { textContent: sketch(contract, media.schema) }));
  }
  for (const [status, answer] of Object.entries(operation.responses)) {
    const about = resolve(contract, answer);
    parts.push(element("p", { textContent: `${status}: ${about.description}` }));
    for (const [type, media] of content(contract, answer)) {
      parts.push(element("pre", { textContent: `${type}\n${sketch(contract, media.schema)}` }));
    }
  }
  return [...parameters.map((p) => parameterNote(p)), ...parts];
}

function parameterNote(parameter) {
  const about = parameter.description ? ` — ${parameter.description}` : "";
  return element("p", { textContent: `${parameter.in} ${parameter.name}${parameter.required ? "*" : ""}${about}` });
}

// tryForm sends a request as the form says and shows the answer.
function tryForm(contract, path, method, operation, parameters) {
  const inputs = parameters.map((p) => ({ p, field: element("input", { required: Boolean(p.required) }) }));
  const json = content(contract, operation.requestBody).some(([type]) => type === "application/json");
  const body = json ? element("textarea", { value: "{}", spellcheck: false }) : null;
  const result = element("pre", { hidden: true });
  const form = element("form", {}, ...inputs.map(({ p, field }) => element("label", {}, `${p.name} `, field)));
  if (body) form.append(element("label", {}, "Body ", body));
  form.append(element("button", { textContent: "Send" }), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.hidden = false;
    result.textContent = "…";
    result.textContent = await send(path, method, inputs, body).catch((error) => String(error));
  });
  return form;
}

async function send(path, method, inputs, body) {
  const query = new URLSearchParams();
  const headers = new Headers();
  let address = path;
  for (const { p, field } of inputs) {
    if (p.in === "path") address = address.replace(`{${p.name}}`, encodeURIComponent(field.value));
    else if (field.value && p.in === "query") query.append(p.name, field.value);
    else if (field.value) headers.set(p.name, field.value);
  }
  if (body) headers.set("Content-Type", "application/json");
  const started = performance.now();
  const answer = await fetch(query.size ? `${address}?${query}` : address, { method: method.toUpperCase(), headers, body: body?.value });
  const text = await answer.text();
  const shown = answer.headers.get("Content-Type")?.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return `${answer.status} ${answer.statusText} in ${Math.round(performance.now() - started)} ms\n\n${shown}`;
}

function operationView(contract, path, method, item) {
  const operation = item[method];
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((p) => resolve(contract, p));
  const view = element("details", {});
  view.dataset.words = `${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  view.append(
    element("summary", {},
      element("span", { className: "method", textContent: method.toUpperCase() }),
      element("code", { textContent: path }), ` ${operation.summary} `,
      element("span", { className: "added", textContent: operation["x-hayloft"] ? "added by Hayloft" : "" })),
  );
  view.addEventListener("toggle", () => {
    if (view.open && view.childElementCount === 1) {
      view.append(...describe(contract, operation, parameters));
      const streams = operation.operationId === "getEvents";
      if (!streams && !operation.security) view.append(tryForm(contract, path, method, operation, parameters));
    }
  });
  return view;
}

function show(contract) {
  document.getElementById("about").textContent = contract.info.description;
  const groups = new Map(contract.tags.map((tag) => [tag.name, [element("h2", { textContent: `${tag.name}: ${tag.description}` })]]));
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of methods.filter((m) => item[m])) {
      groups.get(item[method].tags[0]).push(operationView(contract, path, method, item));
    }
  }
  const main = document.getElementById("operations");
  main.replaceChildren(...[...groups.values()].map((views) => element("section", {}, ...views)));
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const view of main.querySelectorAll("details")) view.hidden = !view.dataset.words.includes(wanted);
  });
}

try {
  const answer = await fetch("/api/v3/openapi3.json");
  show(await answer.json());
} catch (error) {
  document.getElementById("operations").textContent = `The contract could not be read: ${error}. Is the manager running?`;
}
