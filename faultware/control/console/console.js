// The console. It asks the control endpoint that it came from, every second, and shows the answers as text only.

const KEY = "faultware-token";
const SPAN = 900; // seconds that the plots show
const WIDTH = 450, HEIGHT = 130;
const PATIENCE = 5000;
const RANKS = { view: 1, kill: 2, control: 3 };
const $ = (id) => document.getElementById(id);

const now = () => Date.now() / 1000 + skew;
let token = sessionStorage.getItem(KEY) || "";
let skew = 0; // of the server's clock against ours
let status = null;
let role = 0;
let epoch = 0; // grows with every change made here: answers from before it are old
let failures = 0;
let heardAt = 0;
let round = 0;
let timer = 0;
let polls = new AbortController();
let editing = null;
const workers = new Map(); // what each process has told: its steps, its counts, its events
let ruleOrder = [];
let audit = { version: -1, entries: [], at: 0 };
let recent = [];
let hits = null;

// Asking.

class Refused extends Error {
  constructor(answer, data) {
    const where = data.where ? `${data.where}: ` : "";
    const detail = data.detail || `the answer was ${answer.status}`;
    const hint = data.hint ? `${detail.includes("\n") ? "\n" : " — "}${data.hint}` : "";
    super(`${where}${detail}${hint}`);
    this.status = answer.status;
  }
}

async function ask(method, path, body, signal, patience = PATIENCE) {
  // Bytes of UTF-8, each as a character: no other way to send any text in a header.
  const secret = String.fromCharCode(...new TextEncoder().encode(token));
  const headers = { authorization: `Bearer ${secret}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const limits = [AbortSignal.timeout(patience)];
  if (signal) limits.push(signal);
  const answer = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.any(limits), cache: "no-store", redirect: "error", credentials: "omit",
    priority: method === "GET" ? "low" : "high",
  });
  // An answer that breaks off, as when a kill ends all questions, is none.
  if (answer.ok) return answer.status === 204 ? {} : await answer.json();
  const refused = new Refused(answer, await answer.json().catch(() => ({})));
  if (answer.status === 401 || (answer.status === 429 && !status)) forget(refused.message);
  throw refused;
}

// The token.

function forget(why) {
  sessionStorage.removeItem(KEY);
  token = "";
  status = null;
  role = 0;
  clearTimeout(timer);
  polls.abort();
  workers.clear();
  audit = { version: -1, entries: [], at: 0 };
  for (const body of document.querySelectorAll("tbody, #paths")) body.replaceChildren();
  for (const id of ["place", "who", "link", "state", "since", "confirmed", "countdown", "countdown-note"]) put(id, "");
  document.body.dataset.state = "unknown";
  document.title = "faultware";
  stopEditing();
  $("desk").hidden = $("leave").hidden = true;
  $("door").hidden = false;
  put("token-problem", why || "");
  $("token").value = "";
  $("token").focus();
}

async function enter() {
  put("token-problem", "");
  try {
    const found = await ask("GET", "status");
    sessionStorage.setItem(KEY, token);
    $("door").hidden = true;
    $("desk").hidden = $("leave").hidden = false;
    showStatus(found);
    $("kill").focus();
    poll();
  } catch (error) {
    if (!token) return;
    if (error instanceof Refused) forget(error.message);
    else {
      put("token-problem", "The service does not answer. Trying again …");
      $("door").hidden = false;
      timer = setTimeout(enter, 2000);
    }
  }
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  token = $("token").value.trim();
  $("token").value = "";
  if (token) enter();
});
$("leave").addEventListener("click", () => forget(""));

// Polling. Never more than a few requests at a time, so that a kill always finds a free connection.

async function poll() {
  clearTimeout(timer);
  polls = new AbortController();
  const { signal } = polls, begun = epoch;
  const whole = [...workers.values()].filter((one) => one.whole).length;
  const full = round % 10 === 0 || (round % 2 === 0 && whole < (status?.workers || []).length);
  const since = full ? 0 : Math.floor(now()) - 20;
  const seen = [...workers.values()].map((worker) => worker.event);
  const questions = [
    ask("GET", "status", undefined, signal),
    ask("GET", `series?since=${since}`, undefined, signal),
    ask("GET", `events?since=${seen.length ? Math.min(...seen) : 0}`, undefined, signal),
  ];
  if (round % 3 === 0) questions.push(ask("GET", "recent", undefined, signal));
  round += 1;
  const [state, series, events, paths] = await Promise.allSettled(questions);
  if (!token || signal.aborted) return;
  if (series.status === "fulfilled") takeSeries(series.value, full);
  if (events.status === "fulfilled") takeEvents(events.value);
  if (paths?.status === "fulfilled") { recent = paths.value.requests; showPaths(); }
  if (state.status === "fulfilled") {
    failures = 0;
    if (begun === epoch) showStatus(state.value);
    if (state.value.version !== audit.version || Date.now() - audit.at > 15000) await fetchAudit(state.value.version, signal);
  } else failures += 1;
  showLink();
  plot();
  if (token && !signal.aborted) again();
}

function again(soon) {
  clearTimeout(timer);
  const rest = failures ? Math.min(10000, 1000 * 2 ** (failures - 1)) : document.hidden ? 10000 : 1000;
  timer = setTimeout(poll, soon ? 0 : rest);
}

async function fetchAudit(version, signal) {
  try {
    const { entries } = await ask("GET", "audit", undefined, signal);
    audit = { version, entries, at: Date.now() };
    showAudit();
  } catch { /* the next round asks again */ }
}

document.addEventListener("visibilitychange", () => { if (token && !document.hidden && status) again(true); });

function worker(who) {
  const key = `${who.host} ${who.pid}`;
  if (!workers.has(key)) workers.set(key, { points: new Map(), rules: new Map(), events: [], event: 0 });
  return workers.get(key);
}

function takeSeries(answer, whole) {
  skew = answer.now - Date.now() / 1000;
  const mine = worker(answer.worker);
  mine.whole ||= whole;
  for (const point of answer.points) mine.points.set(point.at, point);
  for (const at of mine.points.keys()) if (at < answer.now - SPAN - 10) mine.points.delete(at);
  mine.rules = new Map(answer.rules.map((rule) => [rule.name, rule]));
  ruleOrder = answer.rules;
  showRules();
}

function takeEvents(answer) {
  const mine = worker(answer.worker);
  const fresh = answer.events.filter((event) => event.sequence > mine.event);
  if (answer.events.length && !fresh.length && answer.events.at(-1).sequence < mine.event) mine.event = 0;
  if (!fresh.length) return;
  mine.event = fresh.at(-1).sequence;
  mine.events = [...mine.events, ...fresh].slice(-60);
  showEvents();
}

// The switch.

// Sent again while there is no answer, and beside the one before: in a busy server's queue that keeps its place.
let killing = false;
async function kill() {
  if (role && role < RANKS.kill) return alarm(`This needs a token with the role kill; yours has the role ${status.token.role}.`);
  if (killing) return;
  killing = true;
  epoch += 1;
  clearTimeout(timer);
  polls.abort();
  put("kill-note", "stopping …");
  const rest = new AbortController();
  let verdict = null, waiting = 0, wake = null;
  const attempt = async () => {
    waiting += 1;
    try {
      const found = await ask("POST", "kill", undefined, rest.signal, 60000);
      verdict ??= { found };
    } catch (error) {
      if (error instanceof Refused && error.status < 500) verdict ??= { error };
      else await pause(300);
    }
    waiting -= 1;
    wake?.();
  };
  for (let tries = 1; token && !verdict; tries += 1) {
    if (waiting < 3) attempt();
    await new Promise((done) => { wake = done; setTimeout(done, 2000); });
    if (token && !verdict) alarm(`The kill is not confirmed yet, trying again (${tries}). If this goes on: faultware kill, or the kill file.`);
  }
  rest.abort();
  epoch += 1;
  if (verdict?.found) {
    failures = 0;
    alarm("");
    showStatus(verdict.found);
  } else if (token) alarm(`Not killed: ${verdict.error.message}`);
  put("kill-note", "stop all faults in every worker, now");
  killing = false;
  if (token) again(true);
}

$("kill").addEventListener("click", kill);
$("arm").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!may("arm")) return;
  const seconds = $("arm-for").value;
  epoch += 1;
  polls.abort();
  try {
    showStatus(await ask("POST", "arm", seconds ? { for: seconds } : {}));
    alarm("");
  } catch (error) {
    if (token) alarm(`Not armed: ${error.message}`);
  }
  epoch += 1;
  if (token) again(true);
});

function may(what) {
  if (role >= RANKS.control) return true;
  alarm(`To ${what}, a token with the role control is needed; yours has the role ${status?.token.role}.`);
  return false;
}

let alarmed = "";
function alarm(text) {
  alarmed = text;
  showAlarm();
}

function showAlarm() {
  const text = alarmed || status?.warning || (status && !status.reload_successful ? "This worker could not read the last change: its last good rules stay until they expire." : "");
  put("alarm", text);
  $("alarm").hidden = !text;
}

function showStatus(found) {
  status = { ...status, ...found };
  if (found.token) role = RANKS[found.token.role] || 0;
  const armed = status.state === "armed";
  document.body.dataset.state = status.state;
  document.title = `${armed ? "▲ ARMED" : "■ Killed"} · faultware`;
  put("state", armed ? (status.dry_run ? "Armed, dry run" : "Armed") : "Killed");
  const why = status.reason ? `: ${status.reason}` : "";
  const acting = status.active_faults ? ` · ${status.active_faults} faulted now in this worker, ${status.held ?? 0} waiting` : "";
  put("since", `${armed ? "faults may happen" : "no faults"} since ${clock(status.since)}, by ${status.by}${why}${acting}`);
  put("place", `${status.worker?.host} · ${status.store}`);
  put("who", `${status.token?.name} (${status.token?.role})`);
  $("kill").setAttribute("aria-disabled", String(role < RANKS.kill));
  for (const id of ["arm-button", "save"]) $(id).setAttribute("aria-disabled", String(role < RANKS.control));
  heardAt = Date.now();
  showAlarm();
  showWorkers();
  showGuards();
  showCountdown();
  showLink();
}

function showCountdown() {
  if (!status) return;
  const left = status.armed_until === null ? null : status.armed_until - now();
  const armed = status.state === "armed";
  put("countdown", armed && left !== null ? span(Math.max(0, Math.ceil(left)), true) : "");
  put("countdown-note", !armed ? "" : left === null ? "armed until killed" : "until it kills itself");
  for (const cell of document.querySelectorAll("[data-until]")) put(cell, span(Math.max(0, Math.ceil(cell.dataset.until - now())), true));
}
setInterval(() => { showCountdown(); showLink(); }, 500);

function showLink() {
  if (!token || !status) return;
  const silent = Math.round((Date.now() - heardAt) / 1000);
  $("link").dataset.ok = String(!failures && silent < 15);
  put("link", failures || silent >= 15 ? `no answer for ${span(silent)}: what you see is old` : "live");
}

// Workers and guards.

function showWorkers() {
  const list = status.workers || [];
  const done = list.filter((one) => one.confirmed);
  const killed = status.state === "killed";
  put("workers-count", list.length ? String(list.length) : "");
  const slowest = Math.max(0, ...done.map((one) => one.took_seconds ?? 0));
  put("confirmed", killed && list.length
    ? `${done.length} of ${list.length} ${list.length === 1 ? "worker has" : "workers have"} confirmed${done.length === list.length && slowest ? `, the last after ${millis(slowest)}` : ""}`
    : "");
  $("confirmed").className = done.length === list.length ? "good" : "bad";
  rows("worker-rows", list, (one) => `${one.host} ${one.pid}`, (one) => [
    cell(one.host), cell(one.pid, "number"), cell(one.state, one.state === "armed" ? "bad" : "good"),
    killed ? cell(one.confirmed ? `✓ after ${one.took_seconds === null ? "?" : millis(one.took_seconds)}` : "not yet", one.confirmed ? "good" : "bad") : cell("–"),
    cell(one.silent_seconds < 2 ? "now" : `${span(one.silent_seconds)} ago`, "number"),
  ], "None has reported.");
}

function showGuards() {
  rows("guard-rows", status.guards || [], (one) => one.guard, (one) => [
    cell(one.guard, "mono"), cell(one.shown ?? (status.state === "armed" ? "too few samples" : "not watched"), "number"),
  ], "None. FAULTWARE_ABORT_WHEN or PUT guards sets them.");
}

// Rules.

function alive() {
  const list = status?.workers || [];
  const names = new Set(list.map((one) => `${one.host} ${one.pid}`));
  return [...workers].filter(([name]) => !names.size || names.has(name)).map(([, one]) => one);
}

function showRules() {
  const all = alive();
  const rules = ruleOrder.map((rule) => {
    const sum = { ...rule, matched: 0, rolled: 0, fired: 0, injected: 0, suppressed: 0 };
    for (const one of all) {
      const mine = one.rules.get(rule.name);
      if (mine) for (const name of ["matched", "rolled", "fired", "injected", "suppressed"]) sum[name] += mine[name];
    }
    return sum;
  });
  const told = all.length, known = (status?.workers || []).length;
  put("rules-count", rules.length ? `${rules.length}${known > told ? ` · counts of ${told} of ${known} workers` : ""}` : "");
  rows("rule-rows", rules, (rule) => rule.name, (rule) => {
    const expiry = rule.expires_in === null ? cell("never") : cell("");
    if (rule.expires_in !== null) expiry.dataset.until = now() + rule.expires_in;
    const title = cell("");
    title.append(text("span", rule.name, "name"), text("span", rule.line ?? "more than one line can say", "line"));
    const injected = cell(count(rule.injected), "number");
    if (rule.suppressed) injected.append(text("small", ` +${count(rule.suppressed)} suppressed`));
    return [title, cell(count(rule.matched), "number"), injected, share(rule), expiry, actions(rule)];
  }, "None: nothing can happen. Add one below.", (row, rule) => { row.dataset.editing = String(rule.name === editing?.name); });
  showCountdown();
}

function share(rule) {
  const seen = rule.rolled ? (100 * rule.fired) / rule.rolled : 0;
  const found = cell(rule.rolled ? `${percent(seen)} of ${percent(rule.percentage)}` : `– of ${percent(rule.percentage)}`, "share");
  const top = Math.min(100, Math.max(1, 1.5 * Math.max(seen, rule.percentage)));
  const bar = drawn("svg", { viewBox: "0 0 100 9", preserveAspectRatio: "none", "aria-hidden": "true" });
  bar.append(
    drawn("rect", { class: "track", width: 100, height: 5, y: 2 }),
    drawn("rect", { class: "seen", width: Math.min(100, (100 * seen) / top), height: 5, y: 2 }),
    drawn("rect", { class: "aim", x: Math.min(99, (100 * rule.percentage) / top), width: 1, height: 9 }),
  );
  found.append(bar);
  return found;
}

function actions(rule) {
  const found = cell("", "act");
  for (const [word, act, possible] of [["Edit", startEditing, rule.line !== null], ["Delete", remove, true]]) {
    const button = text("button", word, "quiet");
    button.type = "button";
    button.setAttribute("aria-label", `${word} ${rule.name}`);
    button.setAttribute("aria-disabled", String(role < RANKS.control || !possible));
    button.dataset.act = word;
    button.addEventListener("click", () => {
      if (!may(`${word.toLowerCase()} a rule`)) return;
      if (possible) act(rule);
      else alarm(`${rule.name} says more than one line can: change it as a document, with PUT rules/${rule.name}.`);
    });
    found.append(button);
  }
  return found;
}

function startEditing(rule) {
  editing = rule;
  $("line").value = rule.line;
  put("line-label", `Change ${rule.name}`);
  put("save", "Save");
  $("cancel").hidden = false;
  showRules();
  preview();
  $("line").focus();
}

function stopEditing() {
  editing = null;
  hits = null;
  $("line").value = "";
  put("line-label", "New rule");
  put("save", "Add");
  $("cancel").hidden = true;
  problem("");
  put("line-hits", "");
  if (status) { showRules(); showPaths(); }
}

function problem(message) {
  put("line-problem", message);
  $("line").setAttribute("aria-invalid", String(Boolean(message)));
}

let typing = 0, parsing = new AbortController();
async function preview() {
  clearTimeout(typing);
  parsing.abort();
  parsing = new AbortController();
  const { signal } = parsing, line = $("line").value.trim();
  if (!line) { hits = null; problem(""); put("line-hits", ""); return showPaths(); }
  try {
    const parsed = await ask("POST", "parse", { rules: line }, signal);
    if (signal.aborted) return;
    problem("");
    hits = new Set(parsed.hits.flat().map((one) => `${one.method} ${one.path}`));
    put("line-hits", recent.length
      ? `Would match ${hits.size} of the ${recent.length} requests seen lately, by method and path.`
      : "No requests were seen lately that it could match.");
  } catch (error) {
    if (signal.aborted || !token) return;
    hits = null;
    put("line-hits", "");
    problem(error instanceof Refused ? error.message : "The service does not answer.");
  }
  showPaths();
}

$("line").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(preview, 250); });
$("line").addEventListener("keydown", (event) => { if (event.key === "Escape") stopEditing(); });
$("cancel").addEventListener("click", stopEditing);
$("rule-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  clearTimeout(typing);
  parsing.abort();
  const line = $("line").value.trim();
  if (!line || !may("change rules")) return;
  try {
    const { rules } = await ask("POST", "parse", { rules: line });
    const old = editing?.name;
    // A name that nobody gave is made from the text, and would change with it.
    if (old && rules.length === 1 && !/\sas\s+\S+$/.test(line)) rules[0].name = old;
    for (const rule of rules) await ask("PUT", `rules/${encodeURIComponent(rule.name)}`, rule);
    if (old && !rules.some((rule) => rule.name === old)) await ask("DELETE", `rules/${encodeURIComponent(old)}`);
    const names = rules.map((rule) => rule.name).join(", ");
    stopEditing();
    put("line-hits", `${old ? "Changed" : "Added"} ${names}.`);
  } catch (error) {
    if (token) problem(error instanceof Refused ? error.message : "The service does not answer: nothing is certain, look at the table.");
  }
  if (token) again(true);
});

async function remove(rule) {
  try {
    await ask("DELETE", `rules/${encodeURIComponent(rule.name)}`);
    if (editing?.name === rule.name) stopEditing();
    put("line-hits", `Deleted ${rule.name}.`);
    $("line").focus();
  } catch (error) {
    if (token) alarm(`${rule.name} is not deleted: ${error.message}`);
  }
  if (token) again(true);
}

function showPaths() {
  const shown = recent.slice(0, 30).map((one) => {
    const name = `${one.method} ${one.path}`, hit = hits?.has(name);
    const item = text("li", name, hit ? "path hit" : "path");
    if (hit) item.append(text("span", " (would match)", "unseen"));
    return item;
  });
  $("paths").replaceChildren(...shown);
}

// Events and audit.

function showEvents() {
  const all = [...workers].flatMap(([key, one]) => one.events.map((event) => ({ ...event, key, pid: key.split(" ").at(-1) })));
  all.sort((one, other) => other.at - one.at);
  rows("event-rows", all.slice(0, 60), (event) => `${event.key} ${event.sequence}`, (event) => [
    cell(clock(event.at), "when"), cell(words(event.type), event.type === "fault_injected" ? "what bad" : "what"), cell(`${detail(event)} · ${event.pid}`, "detail"),
  ], "Nothing has happened yet.");
}

function detail(event) {
  switch (event.type) {
    case "fault_injected":
      return `${event.rule}: ${event.fault} on ${event.method} ${event.path}${event.delay_seconds ? `, ${millis(event.delay_seconds)}` : ""}${event.dry_run ? ", dry run" : ""}`;
    case "switch_killed": return `by ${event.actor}${event.reason ? `: ${event.reason}` : ""}`;
    case "switch_armed": return `by ${event.actor}${event.until === null ? "" : `, until ${clock(event.until)}`}`;
    case "rules_changed": return `by ${event.actor}: ${event.names.join(", ") || "none are left"}`;
    default: return [event.stage, event.message].filter(Boolean).join(": ");
  }
}

function showAudit() {
  rows("audit-rows", [...audit.entries].reverse(), (one) => `${one.at} ${one.version_after}`, (one) => [
    cell(clock(one.at), "when"), cell(words(one.action), "what"),
    cell(`${one.actor}${one.origin ? ` from ${one.origin}` : ""}${one.detail ? `: ${one.detail}` : ""}`, "detail"),
  ], "Nobody has changed anything.");
}

// Plots.

function merged() {
  const all = new Map();
  for (const one of workers.values()) for (const point of one.points.values()) {
    if (point.at + 5 > now()) continue; // not over yet
    const sum = all.get(point.at) || { at: point.at, requests: 0, measured: 0, errors: 0, own_errors: 0, injected: 0, times: new Map() };
    for (const name of ["requests", "measured", "errors", "own_errors", "injected"]) sum[name] += point[name];
    for (const [end, number] of point.times) sum.times.set(end, (sum.times.get(end) || 0) + number);
    all.set(point.at, sum);
  }
  return [...all.values()].sort((one, other) => one.at - other.at);
}

function quantile(times, q) {
  const ends = [...times].sort((one, other) => one[0] - other[0]);
  let left = q * ends.reduce((sum, [, number]) => sum + number, 0);
  for (const [end, number] of ends) if ((left -= number) <= 0) return end;
  return null;
}

function plot() {
  const points = merged(), step = 5, part = (name) => (one) => (one.measured ? (100 * one[name]) / one.measured : null);
  for (const one of points) { one.p50 = quantile(one.times, 0.5); one.p99 = quantile(one.times, 0.99); }
  draw("requests", points, [["requests", (one) => one.requests / step], ["injected", (one) => one.injected / step]], 1, (top) => `${count(top)}/s`, true);
  draw("errors", points, [["errors", part("errors")], ["own", part("own_errors")]], 1, percent);
  draw("latency", points, [["p99", (one) => one.p99], ["p50", (one) => one.p50]], 0.001, millis);
  const late = points.filter((one) => one.at > now() - 21);
  const total = (name) => late.reduce((sum, one) => sum + one[name], 0);
  const times = new Map();
  for (const one of late) for (const [end, number] of one.times) times.set(end, (times.get(end) || 0) + number);
  const measured = total("measured"), seconds = step * Math.max(1, late.length);
  put("now-requests", `${count(total("requests") / seconds)}/s, ${count(total("injected") / seconds)}/s injected`);
  put("now-errors", measured ? `${percent((100 * total("errors")) / measured)}, own ${percent((100 * total("own_errors")) / measured)}` : "–");
  put("now-latency", measured ? `p50 ${millis(quantile(times, 0.5))}, p99 ${millis(quantile(times, 0.99))}` : "–");
}

function draw(name, points, lines, least, label, zeros) {
  const end = Math.floor(now() / 5) * 5, begin = end - SPAN;
  const shown = points.filter((one) => one.at >= begin);
  const highest = Math.max(least, ...shown.flatMap((one) => lines.map(([, value]) => value(one) ?? 0)));
  const top = name === "errors" ? Math.min(100, nice(highest)) : nice(highest);
  const x = (at) => (((at - begin) * WIDTH) / SPAN).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (value / top) * (HEIGHT - 20)).toFixed(1);
  const parts = [];
  for (const share of [0.5, 1]) parts.push(drawn("path", { class: "grid", d: `M0 ${y(top * share)}H${WIDTH}` }));
  for (let at = 300; at < SPAN; at += 300) parts.push(drawn("path", { class: "grid", d: `M${x(begin + at)} 0V${HEIGHT}` }));
  for (const deed of audit.entries) if (["kill", "arm"].includes(deed.action) && deed.at > begin) {
    const mark = drawn("path", { class: `mark ${deed.action}`, d: `M${x(deed.at)} 0V${HEIGHT}` });
    mark.append(text("title", `${words(deed.action)} ${clock(deed.at)}`, "", "http://www.w3.org/2000/svg"));
    parts.push(mark);
  }
  const found = new Map(shown.map((one) => [one.at, one]));
  for (const [kind, value] of lines) {
    const runs = [];
    let run = null;
    for (let at = begin; at < end; at += 5) {
      const one = found.get(at), height = one ? value(one) : zeros && at > shown[0]?.at ? 0 : null;
      if (height === null) run = null;
      else if (run) run.push([at, height]);
      else runs.push((run = [[at, height]]));
    }
    for (const steps of runs) {
      const path = steps.map(([at, height]) => `${x(at)} ${y(height)}H${x(at + 5)}`).join("L");
      const area = ["requests", "injected", "errors"].includes(kind);
      parts.push(drawn("path", { class: kind, d: area ? `M${x(steps[0][0])} ${HEIGHT}L${path}V${HEIGHT}` : `M${path}` }));
    }
  }
  $(`plot-${name}`).replaceChildren(...parts);
  put(`top-${name}`, shown.length ? label(top) : "no requests were measured");
}

function nice(value) {
  const base = 10 ** Math.floor(Math.log10(value));
  return base * [1, 2, 3, 5, 10].find((factor) => factor * base >= value * 0.999);
}

// Words and elements.

function put(where, value) {
  const element = typeof where === "string" ? $(where) : where;
  if (element.textContent !== value) element.textContent = value; // nothing is read out that has not changed
}

function text(tag, value, kind, space) {
  const element = space ? document.createElementNS(space, tag) : document.createElement(tag);
  element.textContent = value;
  if (kind) element.className = kind;
  return element;
}
const cell = (value, kind) => text("td", String(value), kind);

function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

// Rows keep their places and their buttons the focus, whatever changes in them.
function rows(id, items, key, make, none, touch) {
  const body = $(id), kept = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const columns = body.parentElement.tHead.rows[0].cells.length;
  const wanted = items.map((item) => {
    const name = key(item), row = kept.get(name) || document.createElement("tr"), cells = make(item);
    row.dataset.key = name;
    cells.forEach((fresh, index) => {
      const old = row.cells[index];
      if (!old) row.append(fresh);
      else if (!old.isEqualNode(fresh) || fresh.querySelector("button")) {
        const held = old.contains(document.activeElement) && document.activeElement.dataset.act;
        old.replaceWith(fresh);
        if (held) fresh.querySelector(`[data-act=${held}]`)?.focus();
      }
    });
    touch?.(row, item);
    return row;
  });
  if (!wanted.length) {
    const empty = cell(none, "empty"), row = document.createElement("tr");
    empty.colSpan = columns;
    row.append(empty);
    wanted.push(row);
  }
  if (wanted.length !== body.children.length || wanted.some((row, index) => row !== body.children[index])) {
    const held = body.contains(document.activeElement) ? document.activeElement : null;
    body.replaceChildren(...wanted);
    if (held?.isConnected) held.focus();
  }
}

const words = (name) => name.replaceAll("_", " ");
const count = (number) => number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });
const percent = (number) => `${number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 })} %`;
const pause = (time) => new Promise((done) => setTimeout(done, time));
const clock = (at) => (at ? new Date(at * 1000).toLocaleTimeString("en-GB") : "–");
const millis = (seconds) => (seconds >= 1 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`);

function span(seconds, exact) {
  const whole = Math.round(seconds), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, s = whole % 60;
  const two = (number) => String(number).padStart(2, "0");
  if (exact) return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  return h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`;
}

if (token) enter();
else forget("");
