#!/usr/bin/env node
// Plain JavaScript with nothing but old built-ins in static imports: an old Node.js must come far enough to be told so.
import { existsSync } from "node:fs";
import module from "node:module";

const nodeMajorMin = 24;

if (Number.parseInt(process.versions.node, 10) < nodeMajorMin) {
  process.stderr.write(
    `cutline: needs Node.js ${nodeMajorMin} or newer, and this is ${process.versions.node} (${process.execPath}); ` +
      "from a clone, `npm run cutline -- ...` uses the right one\n",
  );
  process.exitCode = 2;
} else {
  // What talks to a cluster is a thousand modules: from the second start on they are compiled.
  module.enableCompileCache();
  if (existsSync(new URL("../src/main.ts", import.meta.url))) {
    // A clone: run the sources, of the sister packages too, so that a stale dist/ never answers.
    module.registerHooks({
      resolve: (specifier, context, nextResolve) =>
        nextResolve(specifier, { ...context, conditions: [...context.conditions, "cutline-source"] }),
    });
    await import("../src/main.ts");
  } else {
    await import("../dist/src/main.js");
  }
}
