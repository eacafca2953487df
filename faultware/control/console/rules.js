// The rules: the table, and the form that adds and changes them.

import { RANKS, Refused, alarm, alive, ask, desk, may, now } from "./desk.js";
import { $, cell, count, drawn, percent, put, rows, span, text } from "./elements.js";

let editing = null;
let hits = null;

export function showRules() {
  const all = alive();
  const rules = desk.ruleOrder.map((rule) => {
    const sum = { ...rule, matched: 0, rolled: 0, fired: 0, injected: 0, suppressed: 0 };
    for (const one of all) {
      const mine = one.rules.get(rule.name);
      if (mine) for (const name of ["matched", "rolled", "fired", "injected", "suppressed"]) sum[name] += mine[name];
    }
    return sum;
  });
  const told = all.length, known = (desk.status?.workers || []).length;
  put("rules-count", rules.length ? `${rules.length}${known > told ? ` · counts of ${told} of ${known} workers` : ""}` : "");
  rows("rule-rows", rules, (rule) => rule.name, (rule) => {
    const expiry = rule.expires_in === null ? cell("never") : cell("");
    if (rule.expires_in !== null) expiry.dataset.until = now() + rule.expires_in;
    const title = cell("", "rule");
    title.append(text("span", rule.name, "name"), text("span", rule.line ?? "needs more than one line", "line"));
    const injected = cell(count(rule.injected), "number");
    if (rule.suppressed) injected.append(text("small", ` +${count(rule.suppressed)} suppressed`));
    return [title, cell(count(rule.matched), "number"), injected, share(rule), expiry, actions(rule)];
  }, "None: nothing can happen. Add one below.", (row, rule) => { row.dataset.editing = String(rule.name === editing?.name); });
  showExpiry();
}

export function showExpiry() {
  for (const cell of document.querySelectorAll("[data-until]")) put(cell, span(Math.max(0, Math.ceil(cell.dataset.until - now())), true));
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
    button.setAttribute("aria-disabled", String(desk.role < RANKS.control || !possible));
    button.dataset.act = word;
    button.addEventListener("click", () => {
      if (!may(`${word.toLowerCase()} a rule`)) return;
      if (possible) act(rule);
      else alarm(`${rule.name} needs more than one line: change it as a document, with PUT rules/${rule.name}.`);
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

export function stopEditing() {
  // What is still being asked about the old line is not wanted any more.
  clearTimeout(typing);
  parsing.abort();
  turn += 1;
  editing = null;
  hits = null;
  $("line").value = "";
  put("line-label", "New rule");
  put("save", "Add");
  $("cancel").hidden = true;
  problem("");
  put("line-hits", "");
  if (desk.status) { showRules(); showPaths(); }
}

function problem(message) {
  put("line-problem", message);
  $("line").setAttribute("aria-invalid", String(Boolean(message)));
}

let typing = 0, parsing = new AbortController(), turn = 0;
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
    put("line-hits", desk.recent.length
      ? `Would match ${hits.size} of the ${desk.recent.length} requests seen lately, by method and path.`
      : "No requests were seen lately that it could match.");
  } catch (error) {
    if (signal.aborted || !desk.token) return;
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
  const mine = ++turn;
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
    if (desk.token && turn === mine) problem(error instanceof Refused ? error.message : "The service does not answer: nothing is certain, look at the table.");
  }
  if (desk.token) desk.again(true);
});

async function remove(rule) {
  try {
    await ask("DELETE", `rules/${encodeURIComponent(rule.name)}`);
    if (editing?.name === rule.name) stopEditing();
    put("line-hits", `Deleted ${rule.name}.`);
    $("line").focus();
  } catch (error) {
    if (desk.token) alarm(`${rule.name} is not deleted: ${error.message}`);
  }
  if (desk.token) desk.again(true);
}

export function showPaths() {
  const shown = desk.recent.slice(0, 30).map((one) => {
    const name = `${one.method} ${one.path}`, hit = hits?.has(name);
    const item = text("li", name, hit ? "path hit" : "path");
    if (hit) item.append(text("span", " (would match)", "unseen"));
    return item;
  });
  $("paths").replaceChildren(...shown);
}
