// The reader's settings: the form, a link that carries them and a call in Python.

live.choices = (form, { names, defaults, arms }) => {
  const fields = form.elements, steps = { alpha: 1, after: 1, lambda: 1 };

  // The class of a name, however it is written; null: none is asked for.
  const target = () => {
    const name = fields.target.value.trim(), lower = names.map((one) => one.toLowerCase());
    if (!name) return null;
    const c = names.includes(name) ? names.indexOf(name) : lower.indexOf(name.toLowerCase());
    if (c < 0) throw Error(`The machine knows no “${name}”: take a name from the list.`);
    fields.target.value = names[c];
    return c;
  };
  const read = () => {
    const wrong = [...fields].find((field) => !field.validity.valid);
    if (wrong) {
      wrong.closest("details").open = true;
      const kind = wrong.step === "1" ? "a whole number" : "a number", least = wrong.min === "1e-9" ? "above 0" : `from ${wrong.min}`;
      throw Error(`“${wrong.labels[0].textContent.trim()}” has to be ${kind} ${least} to ${(+wrong.max).toLocaleString("en")}.`);
    }
    const weights = arms[fields.arm.value].map((weight, i) => (i || !weight ? weight : +fields.lambda.value)); // λ comes first
    const [alpha, after, updates, more] = ["alpha", "after", "updates", "more"].map((name) => +fields[name].value);
    return { target: target(), arm: fields.arm.value, alpha, after, updates, more, weights };
  };
  // Fills the form from a link and returns what there is to say of it.
  const fill = (given) => {
    for (const [name, value] of Object.entries(defaults)) fields[name].value = value;
    if (given.has("arm")) fields.arm.value = given.get("arm");
    const unknown = !fields.arm.value;
    if (unknown) fields.arm.value = defaults.arm;
    const set = [...given.keys()].filter((name) => name in defaults);
    for (const name of set) if (name !== "arm") fields[name].value = given.get(name);
    if (set.length) form.closest("details").open = true;
    if (unknown) return "The link asks for penalties that do not exist: all three are on.";
    if (given.get("photo") === "own") return "This link was made with a photo of somebody’s own, which it does not contain: choose a photo, or Start takes ours.";
    return set.length ? "These are the settings from the link." : "";
  };
  const link = (photo) => {
    const chosen = [...new FormData(form)].filter(([name, value]) => value !== String(defaults[name]));
    return `${location.href.split(/[?#]/)[0]}?${new URLSearchParams([["photo", photo], ...chosen])}`;
  };

  // An arrow moves the first digit: .01, .02, and down from it .009.
  form.addEventListener("keydown", (event) => {
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key], { name, value } = event.target;
    if (!up || !steps[name] || !(value > 0)) return;
    event.preventDefault();
    const power = Math.floor(Math.log10(value) + 1e-9), digit = Math.round(value / 10 ** power);
    event.target.value = +(up < 0 && digit === 1 ? 9 * 10 ** (power - 1) : (digit + up) * 10 ** power).toPrecision(1);
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
    event.target.dispatchEvent(new Event("change", { bubbles: true }));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  return { fields, read, fill, link };
};

// The call of the package that gives the same K, and the file that fools.
live.python = ({ target, weights, alpha, updates }, photo) => `\
from companion.photos import load_photos  # with notebooks/ on the path
from companion.zoo import load_machine
from jnd import Cost, find_jnd

machine = load_machine("efficientnet_lite0")
x0, _ = load_photos([${JSON.stringify(photo)}], 224)
descent = find_jnd(
    machine, x0, target=${target ?? "None"}, cost=Cost(${weights.join(", ")}),
    alpha=${alpha}, max_iter=${updates}, pixels="8bit", stop_at_K=True,
)
print("K", descent.K_unrounded.item(), "file", descent.K.item())
`;
