// The console. It asks the control endpoint that it came from, every second, and shows the answers as text only.

import { RANKS, Refused, SPAN, alarm, ask, desk, may, now, showAlarm, worker } from "./desk.js";
import { $, cell, clock, millis, pause, put, rows, span, words } from "./elements.js";
import { plot } from "./plots.js";
import { showExpiry, showPaths, showRules, stopEditing } from "./rules.js";

const KEY = "faultware-token";
let epoch = 0; // grows with every change made here: answers from before it are old
let failures = 0;
let heardAt = 0;
let round = 0;
let timer = 0;
let polls = new AbortController();

// The token.

function forget(why) {
  sessionStorage.removeItem(KEY);
  desk.token = "";
  desk.status = null;
  desk.role = 0;
  clearTimeout(timer);
  polls.abort();
  desk.workers.clear();
  desk.audit = { version: -1, entries: [], at: 0 };
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
    sessionStorage.setItem(KEY, desk.token);
    $("door").hidden = true;
    $("desk").hidden = $("leave").hidden = false;
    showStatus(found);
    $("kill").focus();
    poll();
  } catch (error) {
    if (!desk.token) return;
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
  desk.token = $("token").value.trim();
  $("token").value = "";
  if (desk.token) enter();
});
$("leave").addEventListener("click", () => forget(""));

// Polling. Never more than a few requests at a time, so that a kill always finds a free connection.

async function poll() {
  clearTimeout(timer);
  polls = new AbortController();
  const { signal } = polls, begun = epoch;
  const whole = [...desk.workers.values()].filter((one) => one.whole).length;
  const full = round % 10 === 0 || (round % 2 === 0 && whole < (desk.status?.workers || []).length);
  const since = full ? 0 : Math.floor(now()) - 20;
  const seen = [...desk.workers.values()].map((worker) => worker.event);
  const questions = [
    ask("GET", "status", undefined, signal),
    ask("GET", `series?since=${since}`, undefined, signal),
    ask("GET", `events?since=${seen.length ? Math.min(...seen) : 0}`, undefined, signal),
  ];
  if (round % 3 === 0) questions.push(ask("GET", "recent", undefined, signal));
  round += 1;
  const [state, series, events, paths] = await Promise.allSettled(questions);
  if (!desk.token || signal.aborted) return;
  if (series.status === "fulfilled") takeSeries(series.value, full);
  if (events.status === "fulfilled") takeEvents(events.value);
  if (paths?.status === "fulfilled") { desk.recent = paths.value.requests; showPaths(); }
  if (state.status === "fulfilled") {
    failures = 0;
    if (begun === epoch) showStatus(state.value);
    if (state.value.version !== desk.audit.version || Date.now() - desk.audit.at > 15000) await fetchAudit(state.value.version, signal);
  } else failures += 1;
  showLink();
  plot();
  if (desk.token && !signal.aborted) again();
}

function again(soon) {
  clearTimeout(timer);
  const rest = failures ? Math.min(10000, 1000 * 2 ** (failures - 1)) : document.hidden ? 10000 : 1000;
  timer = setTimeout(poll, soon ? 0 : rest);
}

async function fetchAudit(version, signal) {
  try {
    const { entries } = await ask("GET", "audit", undefined, signal);
    desk.audit = { version, entries, at: Date.now() };
    showAudit();
  } catch { /* the next round asks again */ }
}

document.addEventListener("visibilitychange", () => { if (desk.token && !document.hidden && desk.status) again(true); });

function takeSeries(answer, whole) {
  desk.skew = answer.now - Date.now() / 1000;
  const mine = worker(answer.worker);
  mine.whole ||= whole;
  for (const point of answer.points) mine.points.set(point.at, point);
  for (const at of mine.points.keys()) if (at < answer.now - SPAN - 10) mine.points.delete(at);
  mine.rules = new Map(answer.rules.map((rule) => [rule.name, rule]));
  desk.ruleOrder = answer.rules;
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
  if (desk.role && desk.role < RANKS.kill) return alarm(`This needs a token with the role kill; yours has the role ${desk.status.token.role}.`);
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
  for (let tries = 1; desk.token && !verdict; tries += 1) {
    if (waiting < 3) attempt();
    await new Promise((done) => { wake = done; setTimeout(done, 2000); });
    if (desk.token && !verdict) alarm(`The kill is not confirmed yet, trying again (${tries}). If this goes on: faultware kill, or the kill file.`);
  }
  rest.abort();
  epoch += 1;
  if (verdict?.found) {
    failures = 0;
    alarm("");
    showStatus(verdict.found);
  } else if (desk.token) alarm(`Not killed: ${verdict.error.message}`);
  put("kill-note", "stop all faults in every worker, now");
  killing = false;
  if (desk.token) again(true);
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
    if (desk.token) alarm(`Not armed: ${error.message}`);
  }
  epoch += 1;
  if (desk.token) again(true);
});

function showStatus(found) {
  desk.status = { ...desk.status, ...found };
  if (found.token) desk.role = RANKS[found.token.role] || 0;
  const armed = desk.status.state === "armed";
  document.body.dataset.state = desk.status.state;
  document.title = `${armed ? "▲ ARMED" : "■ Killed"} · faultware`;
  put("state", armed ? (desk.status.dry_run ? "Armed, dry run" : "Armed") : "Killed");
  const why = desk.status.reason ? `: ${desk.status.reason}` : "";
  const acting = desk.status.active_faults ? ` · ${desk.status.active_faults} faulted now in this worker, ${desk.status.held ?? 0} waiting` : "";
  put("since", `${armed ? "faults may happen" : "no faults"} since ${clock(desk.status.since)}, by ${desk.status.by}${why}${acting}`);
  put("place", `${desk.status.worker?.host} · ${desk.status.store}`);
  put("who", `${desk.status.token?.name} (${desk.status.token?.role})`);
  $("kill").setAttribute("aria-disabled", String(desk.role < RANKS.kill));
  for (const id of ["arm-button", "save"]) $(id).setAttribute("aria-disabled", String(desk.role < RANKS.control));
  heardAt = Date.now();
  showAlarm();
  showWorkers();
  showGuards();
  showCountdown();
  showLink();
}

function showCountdown() {
  if (!desk.status) return;
  const left = desk.status.armed_until === null ? null : desk.status.armed_until - now();
  const armed = desk.status.state === "armed";
  put("countdown", armed && left !== null ? span(Math.max(0, Math.ceil(left)), true) : "");
  put("countdown-note", !armed ? "" : left === null ? "armed until killed" : "until it kills itself");
  showExpiry();
}
setInterval(() => { showCountdown(); showLink(); }, 500);

function showLink() {
  if (!desk.token || !desk.status) return;
  const silent = Math.round((Date.now() - heardAt) / 1000);
  $("link").dataset.ok = String(!failures && silent < 15);
  put("link", failures || silent >= 15 ? `no answer for ${span(silent)}: what you see is old` : "live");
}

// Workers and guards.

function showWorkers() {
  const killed = desk.status.state === "killed";
  const list = [...(desk.status.workers || [])];
  if (killed) list.sort((one, other) => one.confirmed - other.confirmed); // those to look after come first
  const done = list.filter((one) => one.confirmed);
  put("workers-count", list.length ? String(list.length) : "");
  const slowest = Math.max(0, ...done.map((one) => one.took_seconds ?? 0));
  put("confirmed", killed && list.length
    ? `${done.length} of ${list.length} ${list.length === 1 ? "worker has" : "workers have"} confirmed${done.length === list.length && slowest ? `, the last after ${millis(slowest)}` : ""}`
    : "");
  $("confirmed").className = done.length === list.length ? "good" : "bad";
  rows("worker-rows", list, (one) => `${one.host} ${one.pid}`, (one) => [
    cell(one.host), cell(one.pid, "number"), cell(one.state, one.state === "armed" ? "bad" : "good"),
    killed ? cell(one.confirmed ? `✓${one.took_seconds === null ? "" : ` after ${millis(one.took_seconds)}`}` : "not yet", one.confirmed ? "good" : "bad") : cell("–"),
    cell(one.silent_seconds < 2 ? "now" : `${span(one.silent_seconds)} ago`, "number"),
  ], "None has reported.");
}

function showGuards() {
  rows("guard-rows", desk.status.guards || [], (one) => one.guard, (one) => [
    cell(one.guard, "mono"), cell(one.shown ?? (desk.status.state === "armed" ? "too few samples" : "not watched"), "number"),
  ], "None. FAULTWARE_ABORT_WHEN or PUT guards sets them.");
}

// Events and audit.

function showEvents() {
  const all = [...desk.workers].flatMap(([key, one]) => one.events.map((event) => ({ ...event, key, pid: key.split(" ").at(-1) })));
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
  rows("audit-rows", [...desk.audit.entries].reverse(), (one) => `${one.at} ${one.version_after}`, (one) => [
    cell(clock(one.at), "when"), cell(words(one.action), "what"),
    cell(`${one.actor}${one.origin ? ` from ${one.origin}` : ""}${one.detail ? `: ${one.detail}` : ""}`, "detail"),
  ], "Nobody has changed anything.");
}

desk.token = sessionStorage.getItem(KEY) || "";
desk.forget = forget;
desk.again = again;
if (desk.token) enter();
else forget("");
