"use strict";
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const dialog = document.querySelector("dialog");
  if (!dialog) return;
  const stage = dialog.querySelector(".stage");
  const facts = dialog.querySelector(".facts");
  const previous = dialog.querySelector(".previous");
  const next = dialog.querySelector(".next");
  let shown = null;

  const visibleCards = () => cards.filter((card) => !card.hidden);

  const show = (card) => {
    shown = card;
    const tile = card.querySelector(".tile").cloneNode(true);
    facts.replaceChildren(card.querySelector("template").content.cloneNode(true));
    // A document is read where a picture would be seen, in full, not once more beside its excerpt.
    if (tile.matches(".document")) tile.replaceChildren(facts.querySelector(".text"));
    stage.replaceChildren(tile);
    facts.scrollTop = 0;
    const list = visibleCards();
    previous.disabled = card === list[0];
    next.disabled = card === list[list.length - 1];
    if (!dialog.open) dialog.showModal();
  };

  const step = (by) => {
    const list = visibleCards();
    const card = list[list.indexOf(shown) + by];
    if (card) show(card);
  };

  for (const card of cards) {
    card.querySelector("button").addEventListener("click", () => show(card));
  }
  previous.addEventListener("click", () => step(-1));
  next.addEventListener("click", () => step(1));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("close", () => shown.querySelector("button").focus());

  const filter = document.querySelector(".filter input");
  filter?.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const card of cards) {
      const words = card.textContent + card.querySelector("template").content.textContent;
      card.hidden = !words.toLowerCase().includes(wanted);
    }
    document.querySelector(".nothing-left").hidden = visibleCards().length > 0;
  });
})();
