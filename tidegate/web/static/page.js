// Reads the page anew while it is looked at. Without this script the page itself reloads (meta refresh).
"use strict";

(() => {
  const every = 1000 * Number(document.body.dataset.refresh);
  const stale = document.getElementById("stale");
  let good = new Date();

  function show(fresh) {
    const [before, after] = [document.getElementById("main"), fresh.getElementById("main")];
    if (!before || !after || before.innerHTML === after.innerHTML) return;
    const focused = before.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    before.replaceWith(document.adoptNode(after));
    document.title = fresh.title;
    if (focused) {
      const again = [...after.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused);
      if (again) again.focus({ preventScroll: true });
    }
  }

  async function read() {
    if (document.hidden || !getSelection().isCollapsed) return;
    const answer = await fetch(location.pathname + location.search, { cache: "no-store", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    good = new Date();
    stale.hidden = true;
  }

  async function again() {
    try {
      await read();
    } catch {
      stale.textContent = `⚠ not read anew since ${good.toISOString().slice(11, 19)} UTC: reload the page`;
      stale.hidden = false;
    }
    setTimeout(again, every);
  }

  if (every) setTimeout(again, every);
  document.addEventListener("visibilitychange", () => read().catch(() => {}));
})();
