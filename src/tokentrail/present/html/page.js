"use strict";
/* Search, filter, fold, copy, save, the slider, and the state of the view in its address. The page is whole without it. */
(() => {
  const all = (what, within = document) => Array.from(within.querySelectorAll(what));
  const byId = (id) => document.getElementById(id);
  for (const one of all(".js")) one.hidden = false;

  /* What a reader has set stands in the address, so that it survives a reload and can be handed on. */
  const asked = new URLSearchParams(location.search);
  const keep = (name, value) => {
    if (value) asked.set(name, value); else asked.delete(name);
    const text = asked.toString();
    try {
      history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
    } catch { /* a browser that lets files have no say in their address */ }
  };

  const later = (work, pause = 120) => {
    let waiting;
    return () => { clearTimeout(waiting); waiting = setTimeout(work, pause); };
  };

  const tree = byId("tree"), find = byId("find"), found = byId("found");
  if (tree && find && !find.form) {
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
      keep("find", find.value.trim());
    };
    find.addEventListener("input", later(search));
    if (asked.get("find")) { find.value = asked.get("find"); search(); }
    for (const button of all("[data-fold]")) {
      button.addEventListener("click", () => {
        for (const one of all("details:not(.far)", tree)) one.open = button.dataset.fold === "open";
      });
    }
  }

  /* What a page of a console has no room for comes when it is opened; the link in it stays if it does not come. */
  document.addEventListener("toggle", async ({ target }) => {
    const way = target.open && target.classList.contains("far") && target.querySelector(":scope > p:not(.pages) > a");
    if (!way || target.ariaBusy) return;
    target.ariaBusy = "true";
    try {
      const came = await fetch(way.href), text = await came.text();
      const main = text.slice(text.indexOf("<main"), text.lastIndexOf("</main>"));  /* without style and script */
      const page = new DOMParser().parseFromString(main, "text/html");
      const listed = all("#tree > ul, #lineage > .pages", page);
      if (came.ok && listed.length) way.parentElement.replaceWith(...listed.map((one) => document.importNode(one, true)));
    } finally { target.ariaBusy = null; }
  }, true);

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
      sifted.textContent = wanted || marked.checked ? `${shown.toLocaleString("en")} of ${lines.length.toLocaleString("en")} lines` : "";
      keep("sift", sift.value.trim());
      keep("marked", marked.checked ? "1" : "");
    };
    sift.addEventListener("input", later(filter));
    marked.addEventListener("change", filter);
    if (asked.get("sift") || asked.get("marked")) {
      sift.value = asked.get("sift") ?? "";
      marked.checked = asked.has("marked");
      filter();
    }
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

  /* Ways off the page, each of a fixed form: what has another shape stays text. Nothing is fetched before a click. */
  const references = {
    iam: "IAM/latest/APIReference", sts: "STS/latest/APIReference", ec2: "AWSEC2/latest/APIReference",
    organizations: "organizations/latest/APIReference", lambda: "lambda/latest/api",
  };
  const ways = [
    [".technique", /^(T\d{4})(?:\.(\d{3}))?$/, "What ATT&CK says of it",
      ([, first, second]) => `https://attack.mitre.org/techniques/${first}/${second ? `${second}/` : ""}`],
    [".operation", /^(iam|sts|ec2|organizations|lambda):([A-Z][A-Za-z0-9]{2,79})$/, "AWS's documentation of the call",
      ([, service, call]) => `https://docs.aws.amazon.com/${references[service]}/API_${call}.html`],
    [".principal", /^arn:aws:iam::\d{12}:(user|role)\/(?:[!-~]*\/)?([\w+=,.@-]{1,64})$/, "AWS's console, of the account that you are signed in to",
      ([, kind, name]) => `https://console.aws.amazon.com/iam/home#/${kind}s/details/${encodeURIComponent(name)}`],
  ];
  for (const [which, form, told, place] of ways) {
    for (const text of all(which)) {
      const parts = form.exec(text.textContent);
      if (!parts) continue;
      const link = document.createElement("a");
      Object.assign(link, { href: place(parts), rel: "noreferrer noopener", target: "_blank", className: "away", title: told });
      text.before(link);
      link.append(text);
    }
  }

  /* One button, beside whichever id, command or text the pointer or the keyboard is on: it copies the whole of it. */
  const copier = document.createElement("button");
  copier.type = "button";
  copier.className = "copy";
  const offer = ({ target }) => {
    const text = target.closest("code, a.ref, pre") ?? target.closest("a")?.querySelector("code");
    if (!text || !text.closest("header, main") || copier.copied === text && copier.isConnected) return;
    copier.copied = text;
    copier.textContent = "Copy";
    (text.closest("a") ?? text).after(copier);  /* a button within a link could not be reached */
  };
  document.addEventListener("pointerover", offer);
  document.addEventListener("focusin", offer);
  copier.addEventListener("click", async (event) => {
    event.preventDefault();  /* in a heading that folds, it folds nothing */
    event.stopPropagation();
    const text = copier.copied;
    try {
      await navigator.clipboard.writeText(text.matches("a.ref") && text.title || text.textContent);
      copier.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      copier.textContent = "Selected: press Ctrl+C";
    }
  });

  const steps = all(".switch input");
  for (const one of steps) {
    one.addEventListener("change", () => keep("step", one.id === "at-0" ? "" : one.id.slice(3)));
    if (one.id === `at-${asked.get("step")}`) one.checked = true;
  }

  const slider = byId("at-time"), told = byId("at-told"), show = byId("at-show");
  if (slider && told && show) {
    show.hidden = true;
    const go = later(() => slider.form.requestSubmit(show), 450);
    slider.addEventListener("input", () => {
      told.textContent = new Date(slider.value * 1000).toISOString().replace(".000Z", "Z");
      slider.setAttribute("aria-valuetext", told.textContent);
    });
    slider.addEventListener("change", go);
  }

  /* The picture as a file: a copy with its style in it, in light colours, as it is shown after the chosen step. */
  const drawn = () => {
    const from = document.querySelector(".lifelines"), copy = from.cloneNode(true);
    const [, , wide, high] = from.getAttribute("viewBox").split(" ").map(Number);
    const step = steps.find((one) => one.checked)?.id ?? "at-0";
    const rules = document.querySelector("style").textContent.replaceAll(`#lifelines:has(#${step}:checked)`, ".lifelines");
    const style = document.createElementNS(copy.namespaceURI, "style");
    style.textContent = `${rules}${rules.match(/\.lifelines \{\s*--ground[^}]*\}/)[0]}.lifelines{color-scheme:light}`;
    const ground = document.createElementNS(copy.namespaceURI, "rect");
    for (const [name, value] of [["class", "ground"], ["width", wide], ["height", high]]) ground.setAttribute(name, value);
    copy.prepend(style, ground);
    copy.setAttribute("width", wide);
    copy.setAttribute("height", high);
    return { text: new XMLSerializer().serializeToString(copy), wide, high };
  };
  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  for (const button of all("[data-save]")) {
    button.addEventListener("click", async () => {
      const { text, wide, high } = drawn();
      if (button.dataset.save === "svg") return save(new Blob([text], { type: "image/svg+xml" }), "lifelines.svg");
      const image = new Image(), canvas = document.createElement("canvas");
      image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
      await image.decode();
      const scale = Math.min(2, 16000 / high);
      canvas.width = wide * scale;
      canvas.height = high * scale;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, "lifelines.png"), "image/png");
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
    const shut = all("details:not([open], .far)").filter((one) => !one.closest(".records"));
    opened = shut.length <= 400 ? shut : all("#plan details:not([open])");
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
})();
