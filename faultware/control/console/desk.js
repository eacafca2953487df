// What the console knows, and how it asks and warns. It shows nothing but the warning.

import { $, put } from "./elements.js";

const PATIENCE = 5000;
export const SPAN = 900; // seconds that the plots show
export const RANKS = { view: 1, kill: 2, control: 3 };
export const desk = {
  token: "",
  skew: 0, // of the server's clock against ours
  status: null,
  role: 0,
  workers: new Map(), // what each process has told: its steps, its counts, its events
  ruleOrder: [],
  audit: { version: -1, entries: [], at: 0 },
  recent: [],
  alarmed: "",
  // The page's own, set once: to forget the token, and to ask again soon.
  forget: null,
  again: null,
};

export const now = () => Date.now() / 1000 + desk.skew;

// An answer that says no, in the service's own words.
export class Refused extends Error {
  constructor(answer, data) {
    const where = data.where ? `${data.where}: ` : "";
    const detail = data.detail || `the answer was ${answer.status}`;
    const hint = data.hint ? `${detail.includes("\n") ? "\n" : " — "}${data.hint}` : "";
    super(`${where}${detail}${hint}`);
    this.status = answer.status;
  }
}

export async function ask(method, path, body, signal, patience = PATIENCE) {
  // Bytes of UTF-8, each as a character: no other way to send any text in a header.
  const shown = desk.token;
  const secret = String.fromCharCode(...new TextEncoder().encode(shown));
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
  // What is refused together forgets once, with the reason of the first.
  if (shown === desk.token && (answer.status === 401 || (answer.status === 429 && !desk.status))) desk.forget(refused.message);
  throw refused;
}

export function worker(who) {
  const key = `${who.host} ${who.pid}`;
  if (!desk.workers.has(key)) desk.workers.set(key, { points: new Map(), rules: new Map(), events: [], event: 0 });
  return desk.workers.get(key);
}

export function alive() {
  const list = desk.status?.workers || [];
  const names = new Set(list.map((one) => `${one.host} ${one.pid}`));
  return [...desk.workers].filter(([name]) => !names.size || names.has(name)).map(([, one]) => one);
}

export function may(what) {
  if (desk.role >= RANKS.control) return true;
  alarm(`To ${what}, a token with the role control is needed; yours has the role ${desk.status?.token.role}.`);
  return false;
}

export function alarm(text) {
  desk.alarmed = text;
  showAlarm();
}

export function showAlarm() {
  const unread = desk.status && !desk.status.reload_successful ? "This worker could not read the last change: its last good rules stay until they expire." : "";
  const text = [desk.alarmed, desk.status?.warning || unread].filter(Boolean).join("\n");
  put("alarm", text);
  $("alarm").hidden = !text;
}
