// Words and elements of the page: text only, never markup.

export const $ = (id) => document.getElementById(id);

export function put(where, value) {
  const element = typeof where === "string" ? $(where) : where;
  if (element.textContent !== value) element.textContent = value; // nothing is read out that has not changed
}

export function text(tag, value, kind, space) {
  const element = space ? document.createElementNS(space, tag) : document.createElement(tag);
  element.textContent = value;
  if (kind) element.className = kind;
  return element;
}
export const cell = (value, kind) => text("td", String(value), kind);

export function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

// Rows keep their places and their buttons the focus, whatever changes in them.
export function rows(id, items, key, make, none, touch) {
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

export const words = (name) => name.replaceAll("_", " ");
export const count = (number) => number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 });
export const percent = (number) => `${number.toLocaleString("en", { maximumFractionDigits: number < 10 ? 1 : 0 })} %`;
export const pause = (time) => new Promise((done) => setTimeout(done, time));
export const clock = (at) => (at ? new Date(at * 1000).toLocaleTimeString("en-GB") : "–");
export const millis = (seconds) => (seconds >= 1 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`);

export function span(seconds, exact) {
  const whole = Math.round(seconds), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, s = whole % 60;
  const two = (number) => String(number).padStart(2, "0");
  if (exact) return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  return h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`;
}
