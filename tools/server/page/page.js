// The desk server's page: state, what comes from the server, and the parts that are drawn of it
// SPDX-License-Identifier: MIT

const LOG_LINES = 1000;
const CHART_POINTS = 120;
const VIEWS = { objects: "Objects", log: "Log", accounts: "Accounts", update: "Update", files: "Files" };
const NUMERIC = new Set(["integer", "unsigned_integer", "float"]);
const MESSAGE_SECONDS = 7;

const state = {
  definitions: {}, // by object id, as text
  endpoints: new Map(), // name: what /api/desk/endpoints tells
  values: new Map(), // endpoint: Map(path: { value, time })
  charts: new Map(), // "endpoint path": [[time, number]]
  log: [], // { time, endpoint, line }
  updates: new Map(), // endpoint: the newest progress or end of an update
  files: [],
  chosen: "",
  view: "objects",
  open: new Set(), // paths whose details are open
};

// Small helpers

const $ = (id) => document.getElementById(id);

/** An element: properties (on... are listeners, others attributes) and children. Text is never HTML. */
function h(tag, properties = {}, ...children) {
  const svg = ["svg", "polyline", "circle", "text", "title"].includes(tag);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function button(text, label, action, kind = "") {
  return h("button", { type: "button", class: kind, "aria-label": label, title: label, onclick: action }, text);
}

function field(label, input) {
  return h("label", { class: "field" }, label, input);
}

function say(text, bad = false) {
  const message = h("div", { class: bad ? "bad" : "" }, text);
  $("messages").append(message);
  setTimeout(() => message.remove(), MESSAGE_SECONDS * 1000);
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
const parts = (path) => path.split("/").filter(Boolean);
const url = (text) => encodeURIComponent(text);

// The server

function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

const authorization = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

async function ask(method, path, body, type = "application/json") {
  const headers = authorization();
  if (body !== undefined) headers["Content-Type"] = type;
  const raw = body === undefined || type !== "application/json" ? body : JSON.stringify(body);
  const response = await fetch(path, { method, headers, body: raw });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (response.status === 401) askToken();
  if (!response.ok) throw new Error(answer?.error ?? `${response.status} ${response.statusText}`);
  return answer;
}

/** Run something that may fail, with its error as a message. */
async function attempt(action, done = "") {
  try {
    const result = await action();
    if (done) say(done);
    return result;
  } catch (error) {
    say(error.message, true);
    return undefined;
  }
}

/** An operation on the chosen client; one that sleeps gets it when it wakes. */
async function operate(name, body, done = "") {
  const endpoint = state.chosen;
  const sleeping = state.endpoints.get(endpoint)?.status === "sleeping";
  const options = sleeping ? { context: { page: true } } : { async: false };
  return attempt(async () => {
    const path = `/api/desk/endpoints/${url(endpoint)}/${name}`;
    const result = await ask("POST", path, { ...body, options: { ...options, ...body.options } });
    if (result.queued) say(`${endpoint} sleeps: ${name} waits until it wakes`);
    else if (done) say(done);
    take(endpoint, flatten(result.data ?? {}).map(([at, value]) => [at, null, value]));
    return result;
  });
}

function flatten(node, path = "") {
  if (node === null || typeof node !== "object") return [[path, node]];
  return Object.entries(node).flatMap(([key, inner]) => flatten(inner, `${path}/${key}`));
}

/** Read server-sent events by fetch(), since EventSource cannot show a token. */
async function listen() {
  for (;;) {
    try {
      const response = await fetch("/api/desk/events", { headers: authorization() });
      if (response.status === 401) askToken();
      if (!response.ok) throw new Error(response.statusText);
      await reload();
      connection("good", "live");
      await readEvents(response.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch {
      // The server ends, or is not there yet.
    }
    connection("bad", "no connection");
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

async function readEvents(reader) {
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const kind = lines.find((line) => line.startsWith("event: "))?.slice(7);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (kind) happened(kind, JSON.parse(data.join("\n")));
    }
  }
}

function connection(kind, text) {
  $("connection").className = `badge ${kind}`;
  $("connection").textContent = text;
}

async function reload() {
  const [about, definitions, endpoints, log, files, running] = await Promise.all([
    ask("GET", "/api/desk"),
    ask("GET", "/api/desk/objects"),
    ask("GET", "/api/desk/endpoints"),
    ask("GET", "/api/desk/log"),
    ask("GET", "/api/desk/inventory"),
    ask("GET", "/api/desk/firmware"),
  ]);
  state.definitions = definitions;
  state.endpoints = new Map(endpoints.map((each) => [each.endpoint, each]));
  state.log = log.slice(-LOG_LINES);
  state.files = files;
  for (const [endpoint, update] of Object.entries(running)) state.updates.set(endpoint, update);
  $("addresses").textContent = [...Object.values(about.uris), about.mqtt].filter(Boolean).join("  ");
  if (!state.endpoints.has(state.chosen)) {
    const first = endpoints.find((each) => each.registration) ?? endpoints[0];
    await choose(first?.endpoint ?? "");
  } else await choose(state.chosen);
}

async function refresh(endpoint) {
  try {
    state.endpoints.set(endpoint, await ask("GET", `/api/desk/endpoints/${url(endpoint)}`));
  } catch {
    state.endpoints.delete(endpoint);
  }
  drawClients();
  if (!state.chosen) await choose(endpoint);
  else if (endpoint === state.chosen && state.view === "objects") drawMain();
  else if (state.view === "accounts") drawMain();
}

function happened(kind, event) {
  const { endpoint, body } = event;
  const known = state.endpoints.get(endpoint);
  switch (kind) {
    case "lwm2m.log":
      addLine({ time: event.time, endpoint, line: body.line });
      break;
    case "lwm2m.data":
      take(endpoint, event.values, event.time);
      break;
    case "lwm2m.status":
      if (known) {
        known.status = body.status;
        drawClients();
        drawStatus();
      } else refresh(endpoint);
      break;
    case "lwm2m.register":
    case "lwm2m.deregister":
    case "lwm2m.bootstrap":
    case "lwm2m.bootstrapped":
      refresh(endpoint);
      break;
    case "lwm2m.fotaProgress":
    case "lwm2m.fotaComplete":
      state.updates.set(endpoint, body);
      if (kind === "lwm2m.fotaComplete") say(`${endpoint}: ${body.result}`, !body.success);
      if (state.view === "update") drawUpdate();
      break;
    case "lwm2m.asyncResult":
      if (!body.success && !body.intermediate) say(`${endpoint}: ${body.error}`, true);
      break;
  }
}

/** Take values of resources: [path, time or null, value]. */
function take(endpoint, readings, now = Date.now() / 1000) {
  if (!state.values.has(endpoint)) state.values.set(endpoint, new Map());
  const values = state.values.get(endpoint);
  for (const [path, time, value] of readings ?? []) {
    values.set(path, { value, time: time ?? now });
    const number = typeof value === "boolean" ? Number.NaN : Number(value);
    const text = typeof value === "string" && value.trim() === "";
    if (!text && Number.isFinite(number)) {
      const key = `${endpoint} ${path}`;
      const points = state.charts.get(key) ?? [];
      const last = points[points.length - 1];
      // A read tells its values twice: as the answer, and as an event.
      if (!last || last[1] !== number || (time ?? now) - last[0] > 0.2) points.push([time ?? now, number]);
      state.charts.set(key, points.slice(-CHART_POINTS));
    }
    if (endpoint === state.chosen) drawValue(path);
  }
}

// What is drawn

function drawTabs() {
  $("tabs").replaceChildren(
    ...Object.entries(VIEWS).map(([view, name]) =>
      h(
        "button",
        {
          type: "button",
          id: `tab-${view}`,
          "aria-current": view === state.view ? "page" : null,
          onclick: () => show(view),
        },
        name,
      ),
    ),
  );
}

function show(view) {
  state.view = view;
  drawTabs();
  drawMain();
}

function drawClients() {
  const wanted = $("filter").value.trim().toLowerCase();
  const shown = [...state.endpoints.values()].filter((each) => each.endpoint.toLowerCase().includes(wanted));
  const items = shown.map((each) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          "aria-current": each.endpoint === state.chosen ? "true" : null,
          onclick: () => choose(each.endpoint),
        },
        h("span", { class: `dot ${each.status}`, "aria-hidden": "true" }),
        each.endpoint,
        h("span", { class: "quiet" }, `${each.status}${each.queued ? `, ${each.queued} queued` : ""}`),
      ),
    ),
  );
  const none = state.endpoints.size ? "none of this name" : "none yet: start one with the address above";
  $("clients").replaceChildren(...(items.length ? items : [h("li", { class: "quiet" }, none)]));
}

async function choose(endpoint) {
  state.chosen = endpoint;
  drawClients();
  if (endpoint) {
    const rows = await attempt(() => ask("GET", `/api/desk/endpoints/${url(endpoint)}/table`));
    const values = state.values.get(endpoint) ?? new Map();
    for (const [path, value, time] of rows ?? []) {
      if (!(values.get(path)?.time > time)) values.set(path, { value, time });
    }
    state.values.set(endpoint, values);
  }
  drawMain();
}

function drawMain() {
  const draw = { objects: drawObjects, log: drawLog, accounts: drawAccounts, update: drawUpdate, files: drawFiles };
  draw[state.view]();
}

function drawStatus() {
  const badge = $("status");
  if (!badge) return;
  const status = state.endpoints.get(state.chosen)?.status ?? "unknown";
  const kind = { connected: "good", sleeping: "warn", registered: "warn", missing: "bad" }[status] ?? "";
  badge.className = `badge ${kind}`;
  badge.textContent = status;
}

// Objects

function drawObjects() {
  const known = state.endpoints.get(state.chosen);
  if (!known) {
    $("main").replaceChildren(h("p", { class: "quiet" }, "No client is known yet."));
    return;
  }
  const title = h("h2", {}, known.endpoint, " ", h("span", { id: "status", class: "badge" }));
  const registration = known.registration;
  if (!registration) {
    $("main").replaceChildren(title, h("p", { class: "quiet" }, "It is not registered."), ...lastKnown());
    drawStatus();
    return;
  }
  const facts = {
    address: registration.address.join?.(":") ?? registration.address,
    "LwM2M": registration.version,
    lifetime: `${registration.lifetime} s`,
    binding: registration.binding + (registration.queue ? ", queue mode" : ""),
    security: registration.secure,
    registered: clock(registration.registered),
  };
  const rows = Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  $("main").replaceChildren(title, h("dl", { class: "facts" }, ...rows), ...objectsOf(registration.links));
  drawStatus();
}

/** Values of a client that is not there any more. */
function lastKnown() {
  const paths = [...(state.values.get(state.chosen)?.keys() ?? [])];
  const links = Object.fromEntries(paths.map((path) => [`/${parts(path).slice(0, 2).join("/")}`, {}]));
  return objectsOf(links);
}

function objectsOf(links) {
  const objects = new Map();
  for (const path of Object.keys(links)) {
    const [object, instance] = parts(path);
    if (!/^\d+$/.test(object)) continue;
    if (!objects.has(object)) objects.set(object, new Set());
    if (instance !== undefined) objects.get(object).add(instance);
  }
  // Instances that were read though the registration does not name them.
  for (const path of state.values.get(state.chosen)?.keys() ?? []) {
    const [object, instance] = parts(path);
    objects.get(object)?.add(instance);
  }
  const order = (a, b) => Number(a) - Number(b);
  return [...objects.keys()].sort(order).map((object) => drawObject(object, [...objects.get(object)].sort(order)));
}

function opened(path, byDefault) {
  const details = h("details", { open: state.open.has(path) || byDefault, "data-path": path });
  details.addEventListener("toggle", () => (details.open ? state.open.add(path) : state.open.delete(path)));
  return details;
}

function drawObject(object, instances) {
  const definition = state.definitions[object];
  const path = `/${object}`;
  const details = opened(path, false);
  details.className = "object";
  const tools = h(
    "span",
    { class: "tools" },
    button("Read", `Read ${path}`, stop(() => operate("read", { paths: path })), "small"),
    button("Discover", `Discover ${path}`, stop(() => discover(path)), "small"),
    definition?.instancetype === "multiple" ? button("Create", `Create an instance of ${path}`, stop(() => create(object)), "small") : null,
  );
  details.append(h("summary", {}, `${path} ${definition?.name ?? "unknown object"}`, " ", tools));
  details.append(...instances.map((instance) => drawInstance(object, instance)));
  return details;
}

/** A button in a summary does not open or close it. */
function stop(action) {
  return (event) => {
    event.preventDefault();
    action();
  };
}

function drawInstance(object, instance) {
  const path = `/${object}/${instance}`;
  const definition = state.definitions[object];
  const details = opened(path, true);
  const tools = h(
    "span",
    { class: "tools" },
    button("Read", `Read ${path}`, stop(() => operate("read", { paths: path })), "small"),
    observeButton(path),
    button("Discover", `Discover ${path}`, stop(() => discover(path)), "small"),
    definition?.instancetype === "multiple" ? button("Delete", `Delete ${path}`, stop(() => remove(path)), "small danger") : null,
  );
  details.append(h("summary", {}, `Instance ${instance}`, " ", tools));
  const body = h("tbody");
  for (const resource of resourcesOf(path, definition)) body.append(drawResource(path, resource));
  const heads = ["id", "resource", "value", "", ""].map((name) => h("th", { scope: "col" }, name));
  details.append(h("table", {}, h("thead", {}, h("tr", {}, ...heads)), body));
  return details;
}

function resourcesOf(path, definition) {
  const known = (definition?.resourcedefs ?? []).slice();
  const ids = new Set(known.map((each) => each.id));
  for (const each of state.values.get(state.chosen)?.keys() ?? []) {
    const id = Number(parts(each)[2]);
    if (each.startsWith(`${path}/`) && !ids.has(id)) {
      ids.add(id);
      known.push({ id, name: "unknown resource", operations: "RW", type: "", units: "" });
    }
  }
  return known;
}

function drawResource(base, resource) {
  const path = `${base}/${resource.id}`;
  const can = (letter) => resource.operations.includes(letter);
  const buttons = h("td", { class: "buttons" });
  if (can("R")) buttons.append(button("R", `Read ${path}`, () => operate("read", { paths: path }), "small"), " ");
  if (can("W")) buttons.append(button("W", `Write ${path}`, () => write(path, resource), "small"), " ");
  if (can("E")) buttons.append(button("E", `Execute ${path}`, () => execute(path, resource), "small"), " ");
  if (can("R")) buttons.append(observeButton(path));
  const type = resource.type === "none" ? "" : resource.type.replace("_", " ");
  const about = [type, resource.range].filter(Boolean).join(" ");
  const row = h(
    "tr",
    { "data-path": path },
    h("td", { class: "id code" }, `/${resource.id}`),
    h("td", { class: "name", title: about }, resource.name, " ", h("span", { class: "quiet" }, about)),
    h("td", { class: "value" }),
    h("td", { class: "chart" }),
    buttons,
  );
  fillRow(row, path, resource);
  return row;
}

function observed(path) {
  const running = state.endpoints.get(state.chosen)?.observations ?? [];
  return running.some((each) => !each.composite && each.paths[0] === path);
}

function observeButton(path) {
  const on = observed(path);
  const label = `${on ? "Cancel the observation of" : "Observe"} ${path}`;
  const element = button("Observe", label, stop(() => observe(path)), "small");
  element.setAttribute("aria-pressed", String(on));
  return element;
}

function drawValue(path) {
  const [object, instance, resource] = parts(path);
  const base = `/${object}/${instance}/${resource}`;
  const row = document.querySelector(`tr[data-path="${base}"]`);
  if (!row) {
    if (state.view === "objects" && document.querySelector(`details[data-path="/${object}"]`)) drawObjects();
    return;
  }
  const definition = state.definitions[object]?.resourcedefs.find((each) => each.id === Number(resource));
  fillRow(row, base, definition ?? { type: "", units: "" });
  row.classList.remove("fresh");
  void row.offsetWidth; // begins the animation anew
  row.classList.add("fresh");
}

function fillRow(row, path, resource) {
  const values = state.values.get(state.chosen) ?? new Map();
  const found = [...values].filter(([each]) => each === path || each.startsWith(`${path}/`));
  const cell = row.querySelector(".value");
  if (!found.length) {
    cell.replaceChildren();
    return;
  }
  const shown = found.map(([each, { value }]) => {
    const instance = each === path ? "" : `${parts(each)[3]}: `;
    return instance + textOf(value, resource);
  });
  // Sensors of IPSO have their unit as a resource beside the value.
  const own = resource.type === "float" ? values.get(path.replace(/\/\d+$/, "/5701"))?.value : "";
  const units = resource.units || own;
  const unit = units ? h("span", { class: "unit" }, units) : null;
  const time = Math.max(...found.map(([, { time }]) => time));
  cell.replaceChildren(h("span", {}, shown.join(", ")), ...[unit].filter(Boolean), h("time", {}, clock(time)));
  const points = state.charts.get(`${state.chosen} ${path}`) ?? [];
  if (NUMERIC.has(resource.type) && points.length > 1) row.querySelector(".chart").replaceChildren(chart(points));
}

function textOf(value, resource) {
  if (resource.type === "time" && Number.isFinite(Number(value))) {
    return `${value} (${new Date(Number(value) * 1000).toISOString().replace(".000", "")})`;
  }
  if (resource.type === "float") return String(Number(Number(value).toPrecision(7)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A line of the newest values, with the smallest and the largest beside it. */
function chart(points) {
  const [width, height] = [120, 36];
  const times = points.map((point) => point[0]);
  const numbers = points.map((point) => point[1]);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const span = times[times.length - 1] - times[0] || 1;
  const x = (time) => ((time - times[0]) / span) * width;
  const y = (number) => (high === low ? height / 2 : height - ((number - low) / (high - low)) * height);
  const line = points.map(([time, number]) => `${x(time).toFixed(1)},${y(number).toFixed(1)}`).join(" ");
  const short = (number) => String(Number(number.toPrecision(4)));
  const name = `${points.length} values from ${short(low)} to ${short(high)}`;
  const last = points[points.length - 1];
  return h(
    "svg",
    { viewBox: `0 0 ${width + 40} ${height}`, role: "img", "aria-label": name },
    h("title", {}, name),
    h("polyline", { points: line }),
    h("circle", { cx: x(last[0]), cy: y(last[1]), r: 2.5 }),
    h("text", { x: width + 5, y: 8 }, short(high)),
    h("text", { x: width + 5, y: height }, high === low ? "" : short(low)),
  );
}

// Operations that ask something first

async function observe(path) {
  if (observed(path)) await operate("observeCancelPath", { path }, `${path} is observed no more`);
  else await operate("observe", { paths: path }, `${path} is observed`);
  await refresh(state.chosen);
}

async function discover(path) {
  const result = await operate("discover", { path });
  if (!result || result.queued) return;
  const lines = Object.entries(result.links ?? {}).map(([target, attributes]) => {
    const words = Object.entries(attributes).map(([name, value]) => (value === "" ? name : `${name}=${value}`));
    return h("div", { class: "code" }, [target, ...words].join("  "));
  });
  openDialog(`Discover ${path}`, [...lines], null, "Close");
}

function write(path, resource) {
  const current = state.values.get(state.chosen)?.get(path)?.value ?? "";
  const multiple = resource.instancetype === "multiple";
  let input = h("input", { name: "value", value: current, autocomplete: "off" });
  if (resource.type === "boolean" && !multiple) {
    input = h("select", { name: "value" }, h("option", {}, "true"), h("option", {}, "false"));
    input.value = String(current || false);
  }
  const hints = { opaque: "hexadecimal", time: "seconds since 1970", objlnk: "object:instance" };
  const hint = multiple ? '{"0": value, "1": value}' : hints[resource.type] ?? resource.type;
  openDialog(`Write ${path} ${resource.name}`, [field(hint, input)], async () => {
    const value = multiple ? JSON.parse(input.value) : input.value;
    const result = await operate("write", { path, value }, `${path} is written`);
    if (result?.success && !result.queued && resource.operations.includes("R")) await operate("read", { paths: path });
  });
}

function execute(path, resource) {
  const input = h("input", { name: "arguments", placeholder: "0='abc',1", autocomplete: "off" });
  openDialog(`Execute ${path} ${resource.name}`, [field("Arguments, or none", input)], () =>
    operate("execWithArgs", { path, arguments: input.value }, `${path} is executed`),
  );
}

function create(object) {
  const instance = h("input", { name: "instance", inputmode: "numeric", placeholder: "the client chooses" });
  const resources = h("textarea", { name: "resources", rows: 5 });
  resources.value = "{}";
  openDialog(`Create an instance of /${object}`, [field("Instance", instance), field("Resources, as JSON", resources)], async () => {
    const path = instance.value.trim() ? `${object}/${instance.value.trim()}` : object;
    const result = await operate("create", { path, value: JSON.parse(resources.value) });
    if (result?.success && !result.queued) {
      say(`${result.location} is created`);
      await operate("read", { paths: `/${object}` });
    }
  });
}

function remove(path) {
  openDialog(`Delete ${path}?`, [h("p", {}, "The client loses this instance with its resources.")], async () => {
    const result = await operate("delete", { path }, `${path} is deleted`);
    if (!result?.success || result.queued) return;
    for (const each of [...(state.values.get(state.chosen)?.keys() ?? [])]) {
      if (each.startsWith(`${path}/`)) state.values.get(state.chosen).delete(each);
    }
    await refresh(state.chosen);
  });
}

/** A dialog; action() runs where it is agreed to. */
function openDialog(title, content, action, agree = "OK") {
  const dialog = $("dialog");
  const close = () => dialog.close();
  const cancel = action ? button("Cancel", "Cancel", close) : null;
  const form = h(
    "form",
    { method: "dialog" },
    h("h3", { id: "dialog-title" }, title),
    ...content,
    h("div", { class: "row" }, cancel, h("button", { class: "primary", type: "submit" }, agree)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    if (action) attempt(action);
  });
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
}

function askToken() {
  if ($("dialog").open) return;
  const input = h("input", { name: "token", type: "password", autocomplete: "off" });
  openDialog("The server wants its token", [field("Token, as the server printed it", input)], () => {
    sessionStorage.setItem("token", input.value.trim());
    location.reload();
  });
}

// Log

function drawLog() {
  const all = h("select", { id: "log-of" }, h("option", { value: "" }, "every client"));
  for (const name of state.endpoints.keys()) all.append(h("option", { value: name }, name));
  all.value = state.endpoints.has(state.logOf) ? state.logOf : "";
  all.addEventListener("change", () => {
    state.logOf = all.value;
    drawLog();
  });
  const clear = button("Clear", "Clear the log", () => {
    state.log = [];
    drawLog();
  });
  const log = h("div", { id: "log", tabindex: "0", role: "log", "aria-label": "Messages of CoAP, decoded" });
  log.append(...state.log.filter((each) => !all.value || each.endpoint === all.value).map(drawLine));
  $("main").replaceChildren(
    h("h2", {}, "Log"),
    h("p", { class: "quiet" }, "Messages of CoAP, decoded; keys and passwords are hidden."),
    h("div", { class: "row" }, field("Client", all), clear),
    log,
  );
  log.scrollTop = log.scrollHeight;
}

function drawLine({ time, endpoint, line }) {
  const refused = /^(<-|->) [45]\./.test(line);
  const kinds = { "->": "out", "<-": "in", "!!": "wrong", "--": "note" };
  return h("div", { class: refused ? "wrong" : kinds[line.slice(0, 2)] ?? "" }, `${clock(time)} ${endpoint}  ${line}`);
}

function addLine(entry) {
  state.log.push(entry);
  if (state.log.length > LOG_LINES) state.log.shift();
  const log = $("log");
  if (!log || (state.logOf && entry.endpoint !== state.logOf)) return;
  const below = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
  log.append(drawLine(entry));
  if (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
  if (below) log.scrollTop = log.scrollHeight;
}

// Accounts

function drawAccounts() {
  const rows = [...state.endpoints.values()].map((each) => {
    const identities = each.identities.map(({ identity, kind }) => `${identity} (${kind})`);
    const prints = each.thumbprints.map((text) => `${text.slice(0, 16)}…`);
    return h(
      "tr",
      {},
      h("td", { class: "name" }, each.endpoint),
      h("td", {}, [...identities, ...prints].join(", ") || "no credentials"),
      h("td", {}, each.bootstrap ? "own configuration" : "the server's"),
      h("td", {}, each.status),
      h(
        "td",
        { class: "buttons" },
        button("Change", `Change the account of ${each.endpoint}`, () => account(each.endpoint), "small"),
        " ",
        button("Forget", `Forget ${each.endpoint}`, () => forget(each.endpoint), "small danger"),
      ),
    );
  });
  const heads = ["endpoint", "credentials", "bootstrap", "status", ""].map((name) => h("th", { scope: "col" }, name));
  $("main").replaceChildren(
    h("h2", {}, "Accounts"),
    h("p", { class: "quiet" }, "Who may connect, and what a bootstrap gives. A key is written here and never shown again."),
    h("p", {}, button("Add an endpoint", "Add an endpoint", () => account(""), "primary")),
    h("div", { class: "card" }, h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows))),
  );
}

function account(endpoint) {
  const name = h("input", { name: "endpoint", value: endpoint, required: true, readonly: Boolean(endpoint) });
  const identity = h("input", { name: "identity", autocomplete: "off" });
  const key = h("input", { name: "key", type: "password", autocomplete: "new-password", pattern: "([0-9a-fA-F]{2})+" });
  const print = h("input", { name: "thumbprint", autocomplete: "off", pattern: "[0-9a-fA-F]{64}" });
  const table = h("textarea", { name: "bootstrap", rows: 6, placeholder: '{"servers": [{"shortServerId": 1, "self": true}]}' });
  const make = button("Make a key", "Make a key", () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    key.type = "text"; // it has to be copied to the device
    key.value = [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
  });
  const content = [
    field("Endpoint name", name),
    field("Identity of the pre-shared key", identity),
    h("div", { class: "row" }, field("Key, hexadecimal", key), make),
    field("SHA-256 of the client's certificate, or none", print),
    field("Bootstrap configuration, as JSON; empty leaves it", table),
  ];
  openDialog(endpoint ? `Account of ${endpoint}` : "Add an endpoint", content, async () => {
    const settings = {};
    if (identity.value) settings.identity = identity.value;
    if (key.value) settings.key = key.value;
    if (print.value) settings.thumbprints = [print.value.toLowerCase()];
    if (table.value.trim()) settings.bootstrap = JSON.parse(table.value);
    await ask("PUT", `/api/desk/endpoints/${url(name.value)}`, settings);
    say(`The account of ${name.value} is kept`);
    await refresh(name.value);
  });
}

function forget(endpoint) {
  openDialog(`Forget ${endpoint}?`, [h("p", {}, "Its credentials, registration, values and queue go.")], async () => {
    await ask("DELETE", `/api/desk/endpoints/${url(endpoint)}`);
    await refresh(endpoint);
    if (state.chosen === endpoint) await choose(state.endpoints.keys().next().value ?? "");
  });
}

// Update

function drawUpdate() {
  const before = Object.fromEntries([...document.querySelectorAll("#update select")].map((each) => [each.name, each.value]));
  const select = (name, options) => {
    const element = h("select", { name }, ...options.map(([value, text]) => h("option", { value }, text)));
    if (options.some(([value]) => value === before[name])) element.value = before[name];
    return element;
  };
  const file = select("file", state.files.map((each) => [each.name, `${each.name} (${each.size} bytes)`]));
  const delivery = select("delivery", [["pull", "the client fetches it"], ["push", "written to 5/x/0"]]);
  const protocol = select("protocol", ["http", "https", "coap", "coaps"].map((each) => [each, each]));
  const instance = select("instance", [["0", "firmware (/5/0)"], ["1", "application (/5/1)"]]);
  const start = async () => {
    const options = { delivery: delivery.value, protocol: protocol.value, instance: instance.value };
    const path = `/api/desk/endpoints/${url(state.chosen)}/firmwareUpdate`;
    await attempt(() => ask("POST", path, { source: file.value, options }), `The update of ${state.chosen} has begun`);
  };
  const end = () => operate("firmwareCancel", {}, "The update is cancelled");
  const form = h(
    "div",
    { class: "card", id: "update" },
    h("div", { class: "row" }, field("File", file), field("Delivery", delivery), field("Protocol", protocol), field("For", instance)),
    h("p", {}, Object.assign(button("Start", "Start the update", start, "primary"), { disabled: !state.chosen || !state.files.length }), " ", button("Cancel", "Cancel the update", end)),
  );
  const none = state.files.length ? null : h("p", { class: "quiet" }, "The inventory is empty: add a file in Files.");
  $("main").replaceChildren(
    h("h2", {}, `Update of ${state.chosen || "no client"}`),
    ...[none].filter(Boolean),
    form,
    h("h3", {}, "Updates"),
    ...[...state.updates].map(([endpoint, update]) => drawProgress(endpoint, update)),
  );
}

function drawProgress(endpoint, update) {
  const ended = update.success !== undefined && update.success !== null;
  const percent = ended && update.success ? 100 : update.percent ?? 0;
  const text = ended ? update.result : `${update.state ?? ""} ${Math.round(percent)} %`;
  const kind = ended ? (update.success ? "good" : "bad") : "";
  return h(
    "div",
    { class: "card" },
    h("div", {}, h("strong", {}, endpoint), " ", h("span", { class: `badge ${kind}` }, text)),
    h("progress", { max: 100, value: percent, "aria-label": `Update of ${endpoint}` }),
  );
}

// Files

function drawFiles() {
  const upload = h("input", { type: "file", name: "file", "aria-label": "A file for downloads" });
  const xml = h("input", { type: "file", name: "xml", accept: ".xml", "aria-label": "Definitions of objects, XML" });
  const send = (input, base, type) => async () => {
    const file = input.files[0];
    if (!file) return say("Choose a file first", true);
    await attempt(() => ask("PUT", `${base}/${url(file.name)}`, file, type), `${file.name} is there`);
    return drawFilesAgain();
  };
  const rows = state.files.map((each) =>
    h(
      "tr",
      {},
      h("td", { class: "name" }, each.name),
      h("td", {}, `${each.size} bytes`),
      h("td", { class: "code" }, `${each.sha256.slice(0, 16)}…`),
      h("td", { class: "buttons" }, button("Remove", `Remove ${each.name}`, () => drop("inventory", each.name), "small danger")),
    ),
  );
  const definitions = Object.entries(state.xmls ?? {}).map(([name, objects]) =>
    h(
      "tr",
      {},
      h("td", { class: "name" }, name),
      h("td", {}, objects.map((each) => `/${each.id} ${each.name}`).join(", ")),
      h("td", { class: "buttons" }, button("Remove", `Remove ${name}`, () => drop("xml", name), "small danger")),
    ),
  );
  $("main").replaceChildren(
    h("h2", {}, "Files"),
    h("h3", {}, "Inventory, for downloads by clients"),
    h("div", { class: "card" }, h("div", { class: "row" }, upload, button("Upload", "Upload the file", send(upload, "/api/desk/inventory", "application/octet-stream"), "primary")), h("table", {}, h("tbody", {}, ...rows))),
    h("h3", {}, "Definitions of objects"),
    h("div", { class: "card" }, h("div", { class: "row" }, xml, button("Add", "Add the definitions", send(xml, "/api/desk/xml", "application/xml"), "primary")), h("table", {}, h("tbody", {}, ...definitions))),
  );
  if (!state.xmls) drawFilesAgain();
}

async function drawFilesAgain() {
  const got = await attempt(() => Promise.all([ask("GET", "/api/desk/inventory"), ask("GET", "/api/desk/xml"), ask("GET", "/api/desk/objects")]));
  if (!got) return;
  [state.files, state.xmls, state.definitions] = got;
  if (state.view === "files") drawFiles();
}

async function drop(kind, name) {
  await attempt(() => ask("DELETE", `/api/desk/${kind}/${url(name)}`), `${name} is removed`);
  await drawFilesAgain();
}

// Theme and keys

function theme(dark) {
  document.documentElement.classList.toggle("dark", dark);
  $("theme").setAttribute("aria-pressed", String(dark));
}

$("theme").addEventListener("click", () => {
  const dark = !document.documentElement.classList.contains("dark");
  localStorage.setItem("theme", dark ? "dark" : "light");
  theme(dark);
});
$("filter").addEventListener("input", drawClients);
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing && !$("dialog").open) {
    event.preventDefault();
    $("filter").focus();
  }
});
window.addEventListener("hashchange", () => token() && location.reload());

const system = matchMedia("(prefers-color-scheme: dark)");
const wanted = () => (localStorage.getItem("theme") ?? (system.matches ? "dark" : "light")) === "dark";
system.addEventListener("change", () => theme(wanted()));
theme(wanted());
drawTabs();
token();
listen();
