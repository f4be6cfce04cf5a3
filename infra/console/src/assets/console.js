// What plain HTML can't do: put a command on the clipboard, and say so.
"use strict";
document.addEventListener("htmx:error", () => {
  say("The page got no answer: is the runner still running?");
});
const say = (text) => {
  const said = document.getElementById("copied");
  said.textContent = text;
  clearTimeout(say.until);
  say.until = setTimeout(() => { said.textContent = ""; }, 8000);
};
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    const reply = await fetch(button.dataset.copy);
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    await navigator.clipboard.writeText(await reply.text());
    say("Copied. The command holds the secrets that the page hides.");
  } catch (error) {
    say(`Not copied: ${error.message}`);
  }
});
