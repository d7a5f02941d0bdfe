// npx eslint --config tests/book/browser/eslint.config.mjs book tests/book/browser, from the root.

import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  { ignores: ["**/_build/**", "**/book/live/loops.js"] },
  { files: ["**/tests/book/browser/*.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser, axe: "readonly", live: "readonly" } } },
  { files: ["**/book/_static/*.js", "**/book/live/*.js"], languageOptions: { sourceType: "script", globals: globals.browser } },
  // weights.js makes what the other scripts share
  { files: ["**/book/live/*.js"], ignores: ["**/weights.js"], languageOptions: { globals: { live: "readonly" } } },
];
