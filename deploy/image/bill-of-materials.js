// Adds what the base brings, Node.js and Debian's packages, to the bill of materials that npm wrote (CycloneDX, JSON).
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const path = process.argv[2];
const bill = JSON.parse(readFileSync(path, "utf8"));

/** The fields of one paragraph of dpkg's status file; continued lines are not among those that are wanted. */
function fieldsOf(paragraph) {
  return Object.fromEntries([...paragraph.matchAll(/^([A-Z][\w-]*): (.*)$/gm)].map(([, name, value]) => [name, value]));
}

function debianPackages() {
  const status = "/var/lib/dpkg/status";
  if (!existsSync(status)) return [];
  return readFileSync(status, "utf8")
    .split("\n\n")
    .map(fieldsOf)
    .filter(({ Status }) => Status === "install ok installed")
    .map(({ Package: name, Version: version, Architecture: arch }) => {
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`;
      return { "bom-ref": purl, type: "library", name, version, purl };
    });
}

const version = process.versions.node;
const node = {
  "bom-ref": `node@${version}`,
  type: "platform",
  name: "node",
  version,
  purl: `pkg:generic/node@${version}`,
};
bill.components = [...bill.components, node, ...debianPackages()];
writeFileSync(path, `${JSON.stringify(bill, null, 2)}\n`);
