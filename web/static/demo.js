// The demonstration's test call: rings the number that this visitor sees now, as a caller would.
"use strict";
(() => {
  const button = document.querySelector("[data-ct-testcall]");
  const said = document.querySelector("[data-ct-testcall-said]");
  // What is written in the page's header, in E.164; a national number is British, like the shop.
  function visible() {
    const digits = document.getElementById("shop-number").textContent.replace(/[^\d+]/g, "");
    return digits.startsWith("0") ? `+44${digits.slice(1)}` : digits;
  }
  const shown = () => document.getElementById("shop-number").textContent.trim();
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = `${button.dataset.calling} ${shown()} …`;
    try {
      const answer = await fetch("/demo/testcall", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ number: visible() }),
        signal: AbortSignal.timeout(15000),
      });
      const told = await answer.json().catch(() => ({}));
      said.textContent = answer.ok ? told.text || `${button.dataset.rings} ${shown()}` : told.error || button.dataset.failed;
    } catch {
      said.textContent = button.dataset.offline;
    }
    button.disabled = false;
  });
})();
