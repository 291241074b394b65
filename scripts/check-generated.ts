/** Generates the wire contracts' TypeScript anew, elsewhere, and compares: what is committed must be what comes out. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const proto = fileURLToPath(new URL("../proto", import.meta.url));
const buf = fileURLToPath(new URL("../node_modules/.bin/buf", import.meta.url));

function filesBelow(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length + 1), readFileSync(path, "utf8")];
    }),
  );
}

const fresh = mkdtempSync(join(tmpdir(), "generated-"));
try {
  execFileSync(buf, ["lint"], { cwd: proto, stdio: "inherit" });
  execFileSync(buf, ["generate", "--output", fresh], { cwd: proto, stdio: "inherit" });
  const committed = filesBelow(join(proto, "gen"));
  const generated = filesBelow(join(fresh, "gen"));
  const paths = new Set([...committed.keys(), ...generated.keys()]);
  const drifted = [...paths].filter((path) => committed.get(path) !== generated.get(path)).sort();
  if (drifted.length > 0) {
    console.error(`Not what the .proto files generate; run \`npm run generate\`:\n${drifted.join("\n")}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true });
}
