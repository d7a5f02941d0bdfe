// npx eslint --config tests/project/browser/eslint.config.mjs book tests/project/browser, from the root.

import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  { ignores: ["**/_build/**", "**/book/live/loops.js"] },
  { files: ["**/tests/project/browser/*.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser, axe: "readonly", live: "readonly" } } },
  { files: ["**/book/_static/*.js", "**/book/live/*.js"], languageOptions: { sourceType: "script", globals: globals.browser } },
  // weights.js makes what the other scripts share
  { files: ["**/book/live/*.js"], ignores: ["**/weights.js"], languageOptions: { globals: { live: "readonly" } } },
];
