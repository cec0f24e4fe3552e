// The page works without this file. It adds sliders, lets the decision follow while a number moves, and switches the appearance at once.
"use strict";

const root = document.documentElement;

function appearance() {
  const button = document.querySelector("[data-looks]");
  if (!button) return;
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const next = button.value;
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    document.cookie = `steelyard_theme=${next}; path=/; max-age=31536000; samesite=lax`;
    const after = { auto: "light", light: "dark", dark: "auto" }[next];
    button.value = after;
    button.title = `Appearance: ${next}`;
    button.querySelector("span").textContent = `Appearance is ${next}; change to ${after}`;
  });
}

const STEPS = 400;

function slider(knob) {
  const field = knob.querySelector("input[type=number]");
  const low = Number(knob.dataset.low);
  const high = Number(knob.dataset.high);
  const log = knob.dataset.log === "1" && low > 0;
  const whole = knob.dataset.whole === "1";
  const name = knob.querySelector("label").textContent.trim().replace(/\s+/g, " ");
  const range = document.createElement("input");
  range.type = "range";
  range.min = 0;
  range.max = STEPS;
  range.step = 1;
  range.setAttribute("aria-label", `${name}, slider`);
  const toValue = (place) => {
    const share = place / STEPS;
    const value = log ? low * (high / low) ** share : low + (high - low) * share;
    const digits = Number(value.toPrecision(log ? 2 : 3));
    return whole ? Math.round(digits) : digits;
  };
  const toPlace = (value) => {
    const share = log ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : (value - low) / (high - low);
    return Math.round(STEPS * Math.min(1, Math.max(0, share)));
  };
  const show = () => {
    range.value = toPlace(Number(field.value));
    range.setAttribute("aria-valuetext", field.value);
    knob.classList.toggle("moved", field.value !== knob.dataset.at);
  };
  range.addEventListener("input", () => {
    // Near where the decision was taken, that very number is meant.
    const near = Math.abs(range.value - toPlace(Number(knob.dataset.at))) <= 2;
    field.value = near ? knob.dataset.at : toValue(Number(range.value));
    range.setAttribute("aria-valuetext", field.value);
    knob.classList.toggle("moved", field.value !== knob.dataset.at);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  field.addEventListener("input", () => {
    if (document.activeElement !== range) show();
  });
  knob.append(range);
  show();
  return show;
}

function decision() {
  const form = document.querySelector("form[data-live]");
  const target = document.getElementById("moved");
  if (!form || !target) return;
  const knobs = [...form.querySelectorAll("[data-knob]")];
  const shows = knobs.map(slider);
  form.querySelector("[data-plain]").hidden = true;
  let running = null;
  let due = false;
  const address = () => {
    const said = new URLSearchParams();
    for (const knob of knobs) {
      const field = knob.querySelector("input[type=number]");
      if (field.value !== "" && field.value !== knob.dataset.at) said.set(field.name, field.value);
    }
    return said.toString();
  };
  const place = (text) => {
    const made = new DOMParser().parseFromString(text, "text/html");
    // The region that is read aloud stays, and only its words change; else a screen reader would not notice.
    const status = target.querySelector("[role=status]");
    const fresh = made.querySelector("[role=status]");
    if (status && fresh) {
      const changed = status.textContent.trim() !== fresh.textContent.trim();
      status.className = fresh.className;
      if (changed) status.replaceChildren(...fresh.childNodes);
      fresh.replaceWith(status);
    }
    target.replaceChildren(...made.body.childNodes);
  };
  const follow = async () => {
    // One request at a time, and always one for the last state: a slider never waits in a queue of its own past.
    if (running !== null) {
      due = true;
      return;
    }
    running = address();
    try {
      const answer = await fetch(`${form.dataset.live}?${running}`);
      if (answer.ok) {
        place(await answer.text());
        history.replaceState(null, "", running ? `/decision?${running}` : "/decision");
        target.dataset.shown = running;
      } else if (answer.status === 401) {
        location.reload();
      }
    } catch {
      // The server cannot be reached: what is shown stays, and the next move tries again.
    }
    running = null;
    if (due) {
      due = false;
      follow();
    }
  };
  form.addEventListener("input", (event) => {
    if (event.target.type === "number") follow();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    follow();
  });
  form.querySelector("[data-reset]").addEventListener("click", (event) => {
    event.preventDefault();
    for (const knob of knobs) knob.querySelector("input[type=number]").value = knob.dataset.at;
    for (const show of shows) show();
    follow();
  });
}

function waiting() {
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", () => {
      const button = form.querySelector("button.main");
      if (button && button.dataset.busy) {
        button.textContent = button.dataset.busy;
        button.setAttribute("aria-busy", "true");
      }
    });
  }
}

appearance();
decision();
waiting();
