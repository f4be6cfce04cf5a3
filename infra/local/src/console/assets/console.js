// What plain HTML can't do: put a command on the clipboard, and say so.
"use strict";
document.addEventListener("htmx:error", () => {
  document.getElementById("copied").textContent = "The page got no answer: is the runner still running?";
});
document.addEventListener("htmx:after:swap", () => {
  document.getElementById("copied").textContent = "";
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const said = document.getElementById("copied");
  try {
    const reply = await fetch(button.dataset.copy);
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    await navigator.clipboard.writeText(await reply.text());
    said.textContent = "Copied. The command holds the secrets that the page hides.";
  } catch (error) {
    said.textContent = `Not copied: ${error.message}`;
  }
});
