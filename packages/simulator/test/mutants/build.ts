import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutant.ts";

const hunt = fileURLToPath(new URL("./hunt.ts", import.meta.url));
const packages = fileURLToPath(new URL("../../../", import.meta.url));

/** The protocol's own guards: its assertions, and the certificate. */
const guards: readonly Mutant[] = [
  {
    name: "assertions",
    breaks: "nothing is asserted",
    file: "protocol/src/invariant.ts",
    find: "  if (!holds) throw",
    put: "  if (!holds && id === undefined) throw",
  },
  {
    name: "certificate",
    breaks: "nothing is proved",
    file: "protocol/src/lifecycle/proof.ts",
    find: "  const violations = [...checkCertificate(evidence).violations, ...endViolations(state)];",
    put: "  const violations = [checkCertificate(evidence).violations, endViolations(state)].flat().slice(0, 0);",
  },
];

/**
 * A copy of the protocol and the simulator in a folder of its own, with the bug in it, and on wish without the protocol's
 * own guards, so that nobody but the checkers can see it. The shipped code is not touched.
 */
export function build(mutant: Mutant | undefined, guarded: "guarded" | "unguarded"): string {
  const folder = mkdtempSync(join(tmpdir(), "cutline-mutant-"));
  for (const name of ["protocol", "simulator"]) {
    cpSync(join(packages, name, "src"), join(folder, name, "src"), { recursive: true });
    cpSync(join(packages, name, "package.json"), join(folder, name, "package.json"));
  }
  cpSync(hunt, join(folder, "simulator/hunt.ts"));
  // Through a link, because node runs no TypeScript that lies in a folder of this name.
  mkdirSync(join(folder, "node_modules/@cutline"), { recursive: true });
  symlinkSync(join(folder, "protocol"), join(folder, "node_modules/@cutline/protocol"));
  for (const patch of [...(mutant === undefined ? [] : [mutant]), ...(guarded === "guarded" ? [] : guards)]) {
    const file = join(folder, patch.file);
    writeFileSync(file, patched(readFileSync(file, "utf8"), patch));
  }
  return folder;
}

/** The source as it is shipped. */
export function sourceOf(mutant: Mutant): string {
  return readFileSync(join(packages, mutant.file), "utf8");
}

export function patched(source: string, { name, find, put }: Mutant): string {
  const places = source.split(find).length - 1;
  if (places !== 1) throw new Error(`the mutant ${name} fits ${places} places of its file; it has to fit one`);
  return source.replace(find, () => put);
}
