"use strict";
/* Search, filter, fold, copy. The page is whole without it. */
(() => {
  const all = (what, within = document) => Array.from(within.querySelectorAll(what));
  const byId = (id) => document.getElementById(id);
  for (const one of all(".js")) one.hidden = false;

  const later = (work) => {
    let waiting;
    return () => { clearTimeout(waiting); waiting = setTimeout(work, 120); };
  };

  const tree = byId("tree"), find = byId("find"), found = byId("found");
  if (tree && find) {
    let known;
    const own = (item) => {
      const details = item.querySelector(":scope > details");
      const parts = details ? all(":scope > summary, :scope > .facts", details) : [item];
      return parts.map((one) => one.textContent).join(" ").toLowerCase();
    };
    const search = () => {
      const wanted = find.value.trim().toLowerCase();
      known ??= all("li", tree).map((item) => ({ item, text: item.classList.contains("cred") ? own(item) : "" }));
      tree.classList.toggle("searching", wanted !== "");
      let hits = 0;
      for (const { item } of known) item.classList.remove("hit", "way");
      if (wanted) {
        for (const { item, text } of known) {
          if (!text.includes(wanted)) continue;
          hits += 1;
          item.classList.add("hit");
          for (let at = item.parentElement; at && at !== tree; at = at.parentElement) {
            if (at.tagName === "DETAILS") at.open = true;
            if (at.tagName === "LI") at.classList.add("way");
          }
        }
      }
      found.textContent = wanted ? `${hits.toLocaleString("en")} found` : "";
    };
    find.addEventListener("input", later(search));
    for (const button of all("[data-fold]")) {
      button.addEventListener("click", () => {
        for (const one of all("details", tree)) one.open = button.dataset.fold === "open";
      });
    }
  }

  const calls = byId("calls"), sift = byId("sift"), marked = byId("marked"), sifted = byId("sifted");
  if (calls && sift) {
    let lines;
    const filter = () => {
      const wanted = sift.value.trim().toLowerCase();
      lines ??= Array.from(calls.rows, (row) => ({ row, text: row.textContent.toLowerCase() }));
      let shown = 0;
      for (const { row, text } of lines) {
        const kept = text.includes(wanted) && (!marked.checked || row.classList.contains("marked"));
        row.hidden = !kept;
        shown += kept ? 1 : 0;
      }
      sifted.textContent = wanted || marked.checked ? `${shown.toLocaleString("en")} lines` : "";
    };
    sift.addEventListener("input", later(filter));
    marked.addEventListener("change", filter);
  }

  for (const button of all("[data-copy]")) {
    button.addEventListener("click", async () => {
      const text = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text);
        button.textContent = "Selected: press Ctrl+C";
      }
    });
  }

  const reveal = () => {
    const target = location.hash.length > 1 && byId(location.hash.slice(1));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    const details = target.querySelector(":scope > details");
    if (details) details.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !find) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    find.focus();
  });

  let opened = [];
  addEventListener("beforeprint", () => {
    const shut = all("details:not([open])");
    opened = shut.length <= 400 ? shut : all("#plan details:not([open])");
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
})();
