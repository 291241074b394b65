// In the build stage: removes from node_modules what the programs cannot reach by their dependencies, and writes a bill
// of materials (CycloneDX, JSON) of what is left, read from the packages themselves and not from a list of wishes.
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [home, bill, ...programs] = process.argv.slice(2);
const lock = JSON.parse(readFileSync(join(home, "package-lock.json"), "utf8"));

const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/** As Node.js finds it: the nearest node_modules above `folder` that has `name`. */
function find(name, folder) {
  for (let at = folder; at.startsWith(home); at = join(at, "..")) {
    const found = join(at, "node_modules", name);
    if (existsSync(join(found, "package.json"))) return realpathSync(found);
  }
  return undefined;
}

/** Folder of every package that is used, with its manifest and the folders of those that it uses. */
const used = new Map();

function use(folder) {
  if (used.has(folder)) return;
  const manifest = manifestOf(folder);
  const uses = new Set();
  used.set(folder, { manifest, uses });
  const optional = new Set([
    ...Object.keys(manifest.optionalDependencies ?? {}),
    ...Object.entries(manifest.peerDependenciesMeta ?? {}).flatMap(([name, meta]) => (meta.optional ? [name] : [])),
  ]);
  const names = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies };
  for (const name of Object.keys(names)) {
    const found = find(name, folder);
    if (found === undefined) {
      if (optional.has(name)) continue;
      throw new Error(`${manifest.name} needs ${name}, and it is not installed`);
    }
    uses.add(found);
    use(found);
  }
}

/** Every package below `modules`, as the path it is installed at. */
function installed(modules) {
  if (!existsSync(modules)) return [];
  return readdirSync(modules).flatMap((entry) => {
    if (entry.startsWith(".")) return [];
    const path = join(modules, entry);
    if (entry.startsWith("@")) return readdirSync(path).map((name) => join(path, name));
    return [path];
  });
}

function prune(modules) {
  for (const path of installed(modules)) {
    const folder = realpathSync(path);
    if (used.has(folder)) prune(join(path, "node_modules"));
    else if (![...used.keys()].some((one) => one.startsWith(`${path}/node_modules/`)))
      rmSync(path, { recursive: true });
  }
}

function hashesOf(folder) {
  const integrity = lock.packages[folder.slice(home.length + 1)]?.integrity;
  if (!integrity?.startsWith("sha512-")) return {};
  const content = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
  return { hashes: [{ alg: "SHA-512", content }] };
}

const purlOf = ({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`;

function component(folder, { manifest }) {
  const license = typeof manifest.license === "string" ? manifest.license : manifest.license?.type;
  const purl = purlOf(manifest);
  return {
    "bom-ref": purl,
    type: manifest.name.startsWith("@cutline/") ? "application" : "library",
    name: manifest.name,
    version: manifest.version,
    purl,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...hashesOf(folder),
  };
}

for (const program of programs) use(join(home, program));
prune(join(home, "node_modules"));
for (const folder of used.keys()) if (!folder.includes("node_modules")) prune(join(folder, "node_modules"));

const entries = [...used].sort(([one], [other]) => (one < other ? -1 : 1));
const seen = new Set();
const once = entries.filter(([, { manifest }]) => !seen.has(purlOf(manifest)) && seen.add(purlOf(manifest)));
const root = manifestOf(home);
writeFileSync(
  bill,
  JSON.stringify({
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: { "bom-ref": "cutline", type: "container", name: root.name, version: root.version },
    },
    components: once.map(([folder, entry]) => component(folder, entry)),
    dependencies: [
      { ref: "cutline", dependsOn: programs.map((program) => purlOf(manifestOf(join(home, program)))) },
      ...once.map(([, { manifest, uses }]) => ({
        ref: purlOf(manifest),
        dependsOn: [...uses].map((one) => purlOf(used.get(one).manifest)),
      })),
    ],
  }),
);
process.stdout.write(`${used.size} packages are used\n`);
