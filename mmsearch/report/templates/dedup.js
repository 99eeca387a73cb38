"use strict";
// Only the groups of the page that is looked at are in the document, however many there are.
(() => {
  const PER_PAGE = 20, ITEMS_AT_FIRST = 12;
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const [show, words, count, list, nothing] = ["show", "words", "count", "list", "nothing"].map(element);
  const [previous, next, number, pages] = ["previous", "next", "page", "pages"].map(element);
  const places = new Map();
  for (const group of data.groups) for (const item of group.items) places.set(item.key, item);
  for (const finding of data.findings) finding.keys.forEach((key, at) => {
    if (!places.has(key)) places.set(key, { key, path: finding.paths[at], file: finding.files[at] });
  });

  const make = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  function tile(item) {
    const made = make("div", "tile");
    const source = data.pictures[item.path] || item.file;
    if (!source) {
      made.textContent = "no picture";
      return made;
    }
    const image = make("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = item.key;
    image.addEventListener("error", () => made.replaceChildren("picture not available"));
    image.src = source;
    made.append(image);
    return made;
  }

  const megabytes = (bytes) => bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;

  function shown(item, kept) {
    const made = make("li", kept ? "item kept" : "item");
    made.append(tile(item));
    const mark = make("p", "mark");
    if (kept) mark.append(make("span", "", item.protected ? "kept (reference)" : "kept"));
    else if (item.tier) mark.append(make("span", "", item.tier), make("span", "", item.score.toFixed(2)));
    made.append(mark);
    const key = make("p", "key", item.key);
    key.dir = "auto";
    made.append(key);
    if (item.width) made.append(make("p", "facts", `${item.width} × ${item.height}, ${megabytes(item.size)}`));
    if (item.evidence) made.append(make("p", "evidence", item.via ? `${item.evidence} (with ${item.via})` : item.evidence));
    if (item.text) {
      const text = make("p", "text", item.text);
      text.dir = "auto";
      text.title = item.text;
      made.append(text);
    }
    return made;
  }

  function items(box, all, keptFirst) {
    const row = make("ol", "items");
    const add = (from, to) => all.slice(from, to).forEach((item, at) => row.append(shown(item, keptFirst && from + at === 0)));
    add(0, ITEMS_AT_FIRST);
    box.append(row);
    if (all.length <= ITEMS_AT_FIRST) return;
    const more = make("button", "more", `Show ${(all.length - ITEMS_AT_FIRST).toLocaleString("en")} more`);
    more.type = "button";
    more.addEventListener("click", () => { add(ITEMS_AT_FIRST, all.length); more.remove(); });
    box.append(more);
  }

  const FAMILIES = { picture: "One picture", similar: "Similar pictures", text: "One text" };

  function groupBox(group) {
    const box = make("li", "group"), head = make("div", "head");
    head.append(make("h2", "", `${FAMILIES[group.family]}: ${group.items.length.toLocaleString("en")} items, ${group.tier}`), make("span", "name", group.id));
    box.append(head);
    items(box, group.items, true);
    return box;
  }

  function findingBox(finding) {
    const box = make("li", "group"), head = make("div", "head");
    head.append(make("h2", "", finding.kind));
    box.append(head, make("p", "detail", finding.detail));
    items(box, finding.keys.map((key) => { const { tier, ...item } = places.get(key); return { ...item, evidence: "" }; }), false);
    return box;
  }

  const haystacks = new WeakMap();
  function haystack(entry) {
    if (!haystacks.has(entry)) {
      const said = entry.items ? [entry.id, ...entry.items.flatMap((item) => [item.key, item.text])] : [entry.detail, ...entry.keys];
      haystacks.set(entry, said.join("\n").toLowerCase());
    }
    return haystacks.get(entry);
  }

  function option(value, text, entries) {
    if (!entries.length) return;
    const made = make("option", "", `${text} (${entries.length.toLocaleString("en")})`);
    made.value = value;
    show.append(made);
    kinds.set(value, entries);
  }

  const kinds = new Map();
  option("all", "all groups", data.groups);
  for (const tier of ["bytes", "pixels", "edited", "similar", "text-same", "text-near"])
    option(`tier ${tier}`, `groups: ${tier}`, data.groups.filter((group) => group.items.some((item) => item.tier === tier)));
  option("findings", "all findings", data.findings);
  for (const kind of new Set(data.findings.map((finding) => finding.kind)))
    option(`finding ${kind}`, `finding: ${kind}`, data.findings.filter((finding) => finding.kind === kind));

  let chosen = [], at = 0;

  function draw() {
    const last = Math.max(Math.ceil(chosen.length / PER_PAGE), 1);
    at = Math.min(Math.max(at, 0), last - 1);
    list.replaceChildren(...chosen.slice(at * PER_PAGE, (at + 1) * PER_PAGE).map((entry) => entry.items ? groupBox(entry) : findingBox(entry)));
    nothing.hidden = chosen.length > 0;
    count.textContent = `${chosen.length.toLocaleString("en")} shown`;
    number.value = at + 1;
    number.max = last;
    pages.textContent = `of ${last.toLocaleString("en")}`;
    previous.disabled = at === 0;
    next.disabled = at === last - 1;
  }

  function filter() {
    const wanted = words.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const entries = kinds.get(show.value) || [];
    chosen = wanted.length ? entries.filter((entry) => wanted.every((word) => haystack(entry).includes(word))) : entries;
    at = 0;
    draw();
  }

  function turn(to) {
    at = to;
    draw();
    list.scrollIntoView({ block: "start" });
  }

  let waiting = 0;
  words.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  show.addEventListener("change", filter);
  previous.addEventListener("click", () => turn(at - 1));
  next.addEventListener("click", () => turn(at + 1));
  number.addEventListener("change", () => turn((Number.parseInt(number.value, 10) || 1) - 1));
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
